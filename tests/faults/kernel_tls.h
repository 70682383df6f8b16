/* SPDX-License-Identifier: PostgreSQL */
/*
 * tests/faults/kernel_tls.h - what the files of the kernel that is played share
 */
#ifndef PGTLS_FAULTS_KERNEL_TLS_H
#define PGTLS_FAULTS_KERNEL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADER       5
#define TAG          16
#define CONTENT_MOST 16384
#define RECORD_MOST  (HEADER + CONTENT_MOST + 256)

/* One direction of a socket. */
struct direction {
    bool     is_set;
    uint16_t cipher; /* TLS_CIPHER_... */
    uint8_t  key[32];
    uint8_t  iv[12];
    uint64_t sequence;
};

/* From setsockopt(); false: not the length of this cipher, or none that is known. */
bool direction_set(struct direction *to, const void *value, size_t size);

/* To `record`, RECORD_MOST bytes; returns its length. */
size_t record_seal(struct direction *with, uint8_t type, const uint8_t *content, size_t size,
                   uint8_t *record);

/* To `content`, as long as the record's body.  -1: it cannot be opened.  The sequence number
 * stays: record_taken() moves on. */
long record_open(const struct direction *with, const uint8_t *record, size_t size,
                 uint8_t *content, uint8_t *type);
void record_taken(struct direction *with);

#endif
