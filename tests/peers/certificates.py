"""An authority of the test's own, and a certificate for this machine that both servers believe."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

VALID = datetime.timedelta(days=2)


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _certificate(subject, issuer, public_key, signer, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(public_key)
               .serial_number(x509.random_serial_number()).not_valid_before(now - VALID).not_valid_after(now + VALID))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Certificates:
    """Files in `directory`: ca.pem, server.pem and server.key, for localhost and 127.0.0.1."""

    def __init__(self, directory):
        self.ca, self.certificate, self.key = (directory / name for name in ("ca.pem", "server.pem", "server.key"))
        authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.ca.write_bytes(_certificate("Test authority", "Test authority", authority.public_key(), authority,
                                         [(x509.BasicConstraints(ca=True, path_length=0), True)]))
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        self.certificate.write_bytes(_certificate("localhost", "Test authority", server.public_key(), authority,
                                                  [(names, False), (x509.BasicConstraints(ca=False, path_length=None), True)]))
        self.key.touch(mode=0o600)
        self.key.write_bytes(server.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                  serialization.NoEncryption()))
