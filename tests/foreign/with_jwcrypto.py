"""Seals and opens licenses with jwcrypto. Jobs come in as a JSON list, answers go out as one."""

import base64
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from jwcrypto import jwe, jwk, jws


def seal(job):
    signed = jws.JWS(job["claims"].encode())
    signed.allowed_algs = [job["signing"]]
    key = jwk.JWK.from_pem(job["signer"].encode())
    signed.add_signature(key, protected=json.dumps({"alg": job["signing"], "x5c": job["x5c"]}))
    header = {"alg": job["encryption"], "enc": "A256GCM", "kid": job["recipient"]["kid"]}
    sealed = jwe.JWE(signed.serialize(compact=True), protected=json.dumps(header))
    sealed.allowed_algs = [job["encryption"], "A256GCM"]
    sealed.add_recipient(jwk.JWK(**job["recipient"]))
    return sealed.serialize(compact=True)


def open_license(job):
    sealed = jwe.JWE()
    sealed.allowed_algs = [job["encryption"], "A256GCM"]
    sealed.deserialize(job["token"], jwk.JWK.from_pem(job["recipient"].encode()))
    signed = jws.JWS()
    signed.allowed_algs = [job["signing"]]
    signed.deserialize(sealed.payload.decode())
    chain = [x509.load_der_x509_certificate(base64.b64decode(entry)) for entry in signed.jose_header["x5c"]]
    key = chain[0].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed.verify(jwk.JWK.from_pem(key), alg=job["signing"])
    for subject, issuer in zip(chain, chain[1:]):
        subject.verify_directly_issued_by(issuer)
    return signed.payload.decode()


doing = {"seal": seal, "open": open_license}
json.dump([doing[job["do"]](job) for job in json.load(sys.stdin)], sys.stdout)
