//! From bytes to a verified license: JWE, JWS, X.509 path, policies, claims.
