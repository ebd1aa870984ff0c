/* What is wrong with a server's certificate, as OpenSSL says it by number, told alike for Redis and Kafka. */
#ifndef TAGD_IO_CERTIFICATE_H
#define TAGD_IO_CERTIFICATE_H

enum tagd_certificate_fault {
    TAGD_CERTIFICATE_OTHER_NAME,
    TAGD_CERTIFICATE_EXPIRED,
    TAGD_CERTIFICATE_EARLY,
    TAGD_CERTIFICATE_UNKNOWN_CA,
    TAGD_CERTIFICATE_BAD
};

enum tagd_certificate_fault tagd_certificate_fault(int x509_error);
const char *tagd_certificate_text(int x509_error); /* OpenSSL's words */

#endif
