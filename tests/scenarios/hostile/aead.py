# SPDX-License-Identifier: PostgreSQL
"""AES-GCM out of OpenSSL's library, which Python's ssl module does not show."""
import ctypes
import ctypes.util

CRYPTO = ctypes.CDLL(ctypes.util.find_library("crypto"))
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_gcm", "EVP_aes_256_gcm"):
    getattr(CRYPTO, name).restype = ctypes.c_void_p
GET_TAG = 0x10                          # EVP_CTRL_AEAD_GET_TAG


def seal(key, nonce, aad, plain):
    """The ciphertext with its tag of 16 bytes behind it."""
    context = ctypes.c_void_p(CRYPTO.EVP_CIPHER_CTX_new())
    cipher = CRYPTO.EVP_aes_128_gcm() if len(key) == 16 else CRYPTO.EVP_aes_256_gcm()
    out, tag = ctypes.create_string_buffer(len(plain) + 16), ctypes.create_string_buffer(16)
    count = ctypes.c_int(0)
    try:
        good = CRYPTO.EVP_EncryptInit_ex(context, ctypes.c_void_p(cipher), None, key, nonce)
        good &= CRYPTO.EVP_EncryptUpdate(context, None, ctypes.byref(count), aad, len(aad))
        good &= CRYPTO.EVP_EncryptUpdate(context, out, ctypes.byref(count), plain, len(plain))
        good &= CRYPTO.EVP_EncryptFinal_ex(context, tag, ctypes.byref(ctypes.c_int(0)))
        good &= CRYPTO.EVP_CIPHER_CTX_ctrl(context, GET_TAG, 16, tag)
        assert good == 1, "AES-GCM failed"
    finally:
        CRYPTO.EVP_CIPHER_CTX_free(context)
    return out.raw[:len(plain)] + tag.raw
