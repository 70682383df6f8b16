/* SPDX-License-Identifier: PostgreSQL */
#include "x509/verify_hint.h"

#include <openssl/x509_vfy.h>

static const struct {
    int         error;
    const char *hint;
} hints[] = {
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      "its CA is not among the trusted ones, or the peer does not send its intermediates" },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
      "the trusted file must hold the root certificate too, not only an intermediate one" },
    { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
      "its CA is not among the trusted ones, or the peer does not send its intermediates" },
    { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
      "it is self-signed, and not among the trusted ones" },
    { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      "its root certificate is not among the trusted ones" },
    { X509_V_ERR_CERT_SIGNATURE_FAILURE,
      "a trusted CA has the same name but another key: was it made anew" },
    { X509_V_ERR_CERT_HAS_EXPIRED, "it must be renewed; or the clock here is wrong" },
    { X509_V_ERR_CERT_NOT_YET_VALID, "it is from the future; or the clock here is wrong" },
    { X509_V_ERR_INVALID_PURPOSE,
      "its extended key usage must have serverAuth (servers) or clientAuth (clients)" },
    { X509_V_ERR_INVALID_CA, "a certificate that is no CA has signed another one" },
    { X509_V_ERR_EE_KEY_TOO_SMALL, "its key is too short for OpenSSL's security level" },
    { X509_V_ERR_CA_KEY_TOO_SMALL, "its key is too short for OpenSSL's security level" },
    { X509_V_ERR_CA_MD_TOO_WEAK, "it is signed with a hash too weak for the security level" },
    { X509_V_ERR_CERT_REVOKED, "its authority has taken it back; a new one is needed" },
    { X509_V_ERR_UNABLE_TO_GET_CRL,
      "the revocation lists must have one of every authority in the chain, the root too" },
    { X509_V_ERR_CRL_HAS_EXPIRED,
      "get a new revocation list from the authority and reload; or the clock here is wrong" },
    { X509_V_ERR_CRL_NOT_YET_VALID,
      "the revocation list is from the future; or the clock here is wrong" },
    { X509_V_ERR_CRL_SIGNATURE_FAILURE,
      "the revocation list has the authority's name but was signed with another key" },
    { X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER,
      "who signed the revocation list is not among the trusted ones" },
    { X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION,
      "it has a critical extension that nobody here understands" },
    { X509_V_ERR_CERT_CHAIN_TOO_LONG, "there are too many certificates above it" },
    { X509_V_ERR_PATH_LENGTH_EXCEEDED,
      "an authority in the chain may not have so many below it" },
};

const char *verify_hint(int error)
{
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (hints[i].error == error)
            return hints[i].hint;
    return NULL;
}
