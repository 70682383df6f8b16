/* SPDX-License-Identifier: PostgreSQL */
#include "tls/held.h"

#include <openssl/crypto.h>
#include <stdlib.h>

void tls_held_free(struct tls_held *held)
{
    if (held->memory != NULL && held->is_plain)
        OPENSSL_cleanse(held->memory, held->len);
    free(held->memory);
    *held = (struct tls_held){ 0 };
}

static bool fill_record(struct tls_held *held, struct bytes bytes)
{
    size_t whole;

    if (!tls_held_header(held, &bytes) || bytes.len == 0)
        return true;
    whole = TLS_HEADER_BYTES + bytes_u16(held->header + 3);
    return memcmp(held->header, "\x17\x03\x03", 3) == 0 && whole <= TLS_LONGEST_RECORD &&
           whole > TLS_HEADER_BYTES + TLS_TAG_BYTES && TLS_HEADER_BYTES + bytes.len < whole &&
           !tls_held_record(held, &bytes) && held->memory != NULL;
}

bool tls_held_fill(struct tls_held *held, struct bytes bytes, bool is_plain)
{
    if (!is_plain)
        return fill_record(held, bytes);
    if (bytes.len == 0 || bytes.len > TLS_LONGEST_CONTENT ||
        (held->memory = malloc(bytes.len)) == NULL)
        return false;
    memcpy(held->memory, bytes.p, bytes.len);
    held->len = (uint16_t)bytes.len;
    held->is_plain = true;
    return true;
}

bool tls_held_header(struct tls_held *held, struct bytes *in)
{
    while (held->len < TLS_HEADER_BYTES && in->len > 0) {
        held->header[held->len++] = in->p[0];
        bytes_skip(in, 1);
    }
    return held->len >= TLS_HEADER_BYTES;
}

bool tls_held_record(struct tls_held *held, struct bytes *in)
{
    size_t       whole = TLS_HEADER_BYTES + bytes_u16(held->header + 3);
    struct bytes rest = bytes_first(*in, whole - held->len);

    if (held->memory == NULL) {
        if ((held->memory = malloc(whole)) == NULL)
            return false;
        memcpy(held->memory, held->header, TLS_HEADER_BYTES);
    }
    if (rest.len > 0)
        memcpy(held->memory + held->len, rest.p, rest.len);
    held->len = (uint16_t)(held->len + rest.len);
    bytes_skip(in, rest.len);
    return held->len == whole;
}
