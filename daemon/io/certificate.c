#include "io/certificate.h"

#include <openssl/x509_vfy.h>

enum tagd_certificate_fault tagd_certificate_fault(int x509_error)
{
    switch (x509_error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return TAGD_CERTIFICATE_OTHER_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED: return TAGD_CERTIFICATE_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID: return TAGD_CERTIFICATE_EARLY;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: return TAGD_CERTIFICATE_UNKNOWN_CA;
    default: return TAGD_CERTIFICATE_BAD;
    }
}

const char *tagd_certificate_text(int x509_error)
{
    return X509_verify_cert_error_string(x509_error);
}
