"""Certificates for the tests, made with the openssl command: a CA, and what it and others sign."""
import os
import subprocess

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_ca(folder, name):
    openssl(folder, "req", "-x509", *EC, "-keyout", name + ".key", "-out", name + ".pem", "-subj", f"/CN={name}", "-days", "2")


def make(folder, ca, name, san=None, days=2):
    """NAME.pem and NAME.key, and both in NAME.both."""
    openssl(folder, "req", *EC, "-keyout", name + ".key", "-out", name + ".csr", "-subj", f"/CN={name}", *(["-addext", "subjectAltName=" + san] if san else []))
    openssl(folder, "x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial", "-days", str(days), "-copy_extensions", "copyall",
            "-out", name + ".pem")
    with open(os.path.join(folder, name + ".both"), "w") as both:
        for part in (".key", ".pem"):
            both.write(open(os.path.join(folder, name + part)).read())


class Pki:
    def __init__(self, folder):
        self.folder = str(folder)
        make_ca(self.folder, "ca")
        make_ca(self.folder, "another-ca")
        make(self.folder, "ca", "server", "IP:127.0.0.1,DNS:localhost")
        make(self.folder, "ca", "wrong-name", "DNS:elsewhere.example")
        make(self.folder, "ca", "expired", "IP:127.0.0.1,DNS:localhost", days=-1)
        make(self.folder, "ca", "tagd")
        make(self.folder, "another-ca", "stranger")

    def path(self, name):
        return os.path.join(self.folder, name)
