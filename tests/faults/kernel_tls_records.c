/* SPDX-License-Identifier: PostgreSQL */
/* TLS 1.3 records with the keys that setsockopt() brought; nothing of it is the program's. */
#include "kernel_tls.h"

#include <linux/tls.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static uint64_t read_sequence(const unsigned char *from)
{
    uint64_t sequence = 0;

    for (int i = 0; i < 8; i++)
        sequence = sequence << 8 | from[i];
    return sequence;
}

bool direction_set(struct direction *to, const void *value, size_t size)
{
    const struct tls12_crypto_info_aes_gcm_128       *aes_128 = value;
    const struct tls12_crypto_info_aes_gcm_256       *aes_256 = value;
    const struct tls12_crypto_info_chacha20_poly1305 *chacha = value;
    const struct tls_crypto_info                     *info = value;

    if (size < sizeof *info || info->version != TLS_1_3_VERSION)
        return false;
    *to = (struct direction){ .is_set = true, .cipher = info->cipher_type };
    switch (info->cipher_type) {
    case TLS_CIPHER_AES_GCM_128:
        memcpy(to->key, aes_128->key, sizeof aes_128->key);
        memcpy(to->iv, aes_128->salt, 4);
        memcpy(to->iv + 4, aes_128->iv, 8);
        to->sequence = read_sequence(aes_128->rec_seq);
        return size == sizeof *aes_128;
    case TLS_CIPHER_AES_GCM_256:
        memcpy(to->key, aes_256->key, sizeof aes_256->key);
        memcpy(to->iv, aes_256->salt, 4);
        memcpy(to->iv + 4, aes_256->iv, 8);
        to->sequence = read_sequence(aes_256->rec_seq);
        return size == sizeof *aes_256;
    case TLS_CIPHER_CHACHA20_POLY1305:
        memcpy(to->key, chacha->key, sizeof chacha->key);
        memcpy(to->iv, chacha->iv, sizeof chacha->iv);
        to->sequence = read_sequence(chacha->rec_seq);
        return size == sizeof *chacha;
    default: return false;
    }
}

static EVP_CIPHER_CTX *start(const struct direction *with, bool seals)
{
    const EVP_CIPHER *cipher = with->cipher == TLS_CIPHER_AES_GCM_128 ? EVP_aes_128_gcm()
                               : with->cipher == TLS_CIPHER_AES_GCM_256
                                   ? EVP_aes_256_gcm()
                                   : EVP_chacha20_poly1305();
    EVP_CIPHER_CTX   *context = EVP_CIPHER_CTX_new();
    uint8_t           nonce[12];

    memcpy(nonce, with->iv, sizeof nonce);
    for (int i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(with->sequence >> (56 - 8 * i));
    if (context == NULL ||
        EVP_CipherInit_ex(context, cipher, NULL, with->key, nonce, seals) != 1)
        abort();
    return context;
}

size_t record_seal(struct direction *with, uint8_t type, const uint8_t *content, size_t size,
                   uint8_t *record)
{
    EVP_CIPHER_CTX *context = start(with, true);
    size_t          body = size + 1 + TAG;
    uint8_t        *at = record + HEADER;
    int             n, m = 0;

    memcpy(record, "\x17\x03\x03", 3);
    record[3] = (uint8_t)(body >> 8);
    record[4] = (uint8_t)body;
    EVP_CipherUpdate(context, NULL, &n, record, HEADER);
    if (size > 0)
        EVP_CipherUpdate(context, at, &m, content, (int)size);
    EVP_CipherUpdate(context, at + m, &n, &type, 1);
    EVP_CipherFinal_ex(context, at + m + n, &n);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, at + size + 1);
    EVP_CIPHER_CTX_free(context);
    with->sequence++;
    return HEADER + body;
}

long record_open(const struct direction *with, const uint8_t *record, size_t size,
                 uint8_t *content, uint8_t *type)
{
    EVP_CIPHER_CTX *context;
    long            inner = (long)size - HEADER - TAG;
    int             n, good;

    if (inner < 1)
        return -1;
    context = start(with, false);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(record + size - TAG));
    EVP_CipherUpdate(context, NULL, &n, record, HEADER);
    EVP_CipherUpdate(context, content, &n, record + HEADER, (int)inner);
    good = EVP_CipherFinal_ex(context, content + n, &n);
    EVP_CIPHER_CTX_free(context);
    while (good == 1 && inner > 0 && content[inner - 1] == 0)
        inner--;
    if (good != 1 || inner == 0)
        return -1;
    *type = content[inner - 1];
    return inner - 1;
}

void record_taken(struct direction *with)
{
    with->sequence++;
}
