/* SPDX-License-Identifier: PostgreSQL */
/*
 * Odd records, told to our record layer and to OpenSSL's: both must say the same.
 */
#include "tls/record_own.h"

#include "harness/check.h"
#include "harness/forge.h"
#include "harness/group_pki.h"

#include <stdlib.h>

/* ---- the cases ---- */

#define HELLO " data=68656c6c6f"
#define TICKET                                                                                 \
    "0400001500000009000000010"                                                                \
    "26e6e"                                                                                    \
    "0006"                                                                                     \
    "7469636b6574"                                                                             \
    "0000"
#define WORD  "7469636b6574"
#define NONCE "26e6e" /* behind a digit */
#define FRONT "00000009000000000" NONCE "0006" WORD
#define NONE  (-1) /* no alert is sent */
#define SAME  (-2)

enum { BOTH, TO_CLIENT, TO_SERVER };

static const struct oddity {
    const char *words;
    int         alert; /* what RFC 8446 or OpenSSL wants */
    int         to;    /* whom */
    int         other; /* what 3.0 or 3.5 of OpenSSL gives, where they differ */
} oddities[] = {
    { "data=6161" HELLO, NONE, BOTH, SAME },
    /* records with nothing in them */
    { "data=" HELLO, NONE, BOTH, SAME },
    { "data=+100" HELLO, NONE, BOTH, SAME },
    { "data=*32" HELLO, NONE, BOTH, SAME },
    { "data=*33" HELLO, 10, BOTH, SAME },
    { "data=*32" HELLO " data=*32" HELLO, NONE, BOTH, SAME },
    { "data=*32 hs=" TICKET " data=*32" HELLO, NONE, TO_CLIENT, SAME },
    { "alert=" HELLO, 10, BOTH, SAME },
    { "alert=+20", 10, BOTH, SAME },
    { "hs=" HELLO, 10, BOTH, SAME },
    { "hs=+9", 10, BOTH, SAME },
    { "inner=", 20, BOTH, SAME },
    { "inner=00", 10, BOTH, SAME },
    { "inner=0000000000000000000000", 10, BOTH, SAME },
    /* too much */
    { "data=@16384" HELLO, NONE, BOTH, SAME },
    { "data=@16385" HELLO, 22, BOTH, SAME },
    { "data=@16000+623" HELLO, NONE, BOTH, SAME },
    { "data=@1+16000" HELLO, NONE, BOTH, SAME },
    { "data=@16384+100" HELLO, NONE, BOTH, SAME },
    { "data=@16384+239" HELLO, NONE, BOTH, SAME },
    { "data=@16384+240" HELLO, 22, BOTH, SAME },
    { "wire=170303410178", 22, BOTH, SAME },
    { "wire=170303410078", NONE, BOTH, SAME },
    { "wire=1703034100@16640", 20, BOTH, SAME },
    { "99=@16385", 22, BOTH, 10 },
    { "alert=@16385", 22, BOTH, SAME },
    { "hs=@16385", 22, BOTH, SAME },
    /* too little */
    { "wire=1703030000", 20, BOTH, SAME },
    { "wire=170303000f@15", 20, BOTH, SAME },
    { "wire=1703030010@16", 20, BOTH, SAME },
    { "wire=17", NONE, BOTH, SAME },
    { "wire=17030300", NONE, BOTH, SAME },
    /* forged, lost, repeated */
    { "data=@5 flip-1" HELLO, 20, BOTH, SAME },
    { "data=@5 flip-20", 20, BOTH, SAME },
    { "data=@5" HELLO " flip-3", 20, BOTH, SAME },
    { "data=@5 skip" HELLO, 20, BOTH, SAME },
    { "data=@5 again", 20, BOTH, SAME },
    { "keys" HELLO, 20, BOTH, SAME },
    { "hs=1800000100" HELLO, 20, BOTH, SAME },
    /* headers */
    { "wire=1703010010@16", 50, BOTH, SAME },
    { "wire=1703040010@16", 50, BOTH, SAME },
    { "wire=1702030010@16", 50, BOTH, 70 },
    { "wire=170304410178", 50, BOTH, SAME },
    { "wire=160301000478787878", 10, BOTH, SAME },
    { "wire=160303410178", 10, BOTH, SAME },
    { "wire=15030300020100", 10, BOTH, SAME },
    { "wire=15030300020228", 10, BOTH, SAME },
    { "wire=16030300051800000100", 10, BOTH, SAME },
    { "wire=140303000101" HELLO, 10, TO_SERVER, SAME },
    { "wire=140303000101" HELLO, 10, TO_CLIENT, NONE },
    { "wire=63030300010178", 10, BOTH, SAME },
    { "wire=0003030028@40", 10, BOTH, SAME },
    /* inner types */
    { "20=01" HELLO, 10, BOTH, SAME },
    { "24=01000178", 10, BOTH, SAME },
    { "99=78", 10, BOTH, SAME },
    { "99=", 10, BOTH, SAME },
    /* alerts */
    { "data=@3 alert=0100" HELLO, NONE, BOTH, SAME },
    { "data=@3 alert=0200", NONE, BOTH, SAME },
    { "alert=0300" HELLO, NONE, BOTH, SAME },
    { "alert=0100 wire=630000ffff@99", NONE, BOTH, SAME },
    { "alert=0100+500", NONE, BOTH, SAME },
    { "alert=015a" HELLO, NONE, BOTH, SAME },
    { "alert=025a" HELLO, NONE, BOTH, SAME },
    { "alert=015a*4" HELLO, NONE, BOTH, SAME },
    { "alert=015a*5" HELLO, 10, BOTH, SAME },
    { "alert=015a*4" HELLO " alert=015a*4" HELLO, NONE, BOTH, SAME },
    { "alert=015a*4 data= alert=015a", 10, BOTH, SAME },
    { "alert=015a*4 hs=1800000100 keys alert=015a*4" HELLO, NONE, BOTH, SAME },
    { "alert=0228" HELLO, NONE, BOTH, SAME },
    { "data=@9 alert=0128" HELLO, NONE, BOTH, SAME },
    { "alert=01c8" HELLO, NONE, BOTH, SAME },
    { "alert=0328" HELLO, NONE, BOTH, SAME },
    { "alert=01 alert=00", 10, BOTH, SAME },
    { "alert=015a0100", 10, BOTH, SAME },
    { "alert=010000", 10, BOTH, SAME },
    /* amid a message */
    { "hs=1800" HELLO, 10, BOTH, SAME },
    { "hs=18000001" HELLO, 10, BOTH, SAME },
    { "hs=1800 alert=0100", 10, BOTH, SAME },
    { "hs=1800 data=", 10, BOTH, SAME },
    { "hs=0400001500" HELLO, 10, TO_CLIENT, SAME },
    /* messages that are over */
    { "hs=14000030@48", 10, BOTH, SAME },
    { "hs=01000038@56", 10, BOTH, SAME },
    { "hs=02000038@56", 10, BOTH, SAME },
    { "hs=0d0000050000000000", 10, BOTH, SAME },
    { "hs=0b00000400000000", 10, BOTH, SAME },
    { "hs=00000000", 10, BOTH, SAME },
    { "hs=05000000", 10, BOTH, SAME },
    { "hs=63000000", 10, BOTH, SAME },
    /* tickets */
    { "hs=" TICKET HELLO, 10, TO_SERVER, SAME },
    { "hs=" TICKET HELLO, NONE, TO_CLIENT, SAME },
    { "hs=" TICKET TICKET "+7" HELLO, NONE, TO_CLIENT, SAME },
    { "hs=" TICKET "1800000100 keys" HELLO, NONE, TO_CLIENT, SAME },
    { "hs=1800000100" TICKET " keys" HELLO, 10, TO_CLIENT, SAME },
    { "hs=040000 hs=15000000 hs=0900000001026e hs=6e00067469 hs=636b6574 hs=0000" HELLO, NONE,
      TO_CLIENT, SAME },
    { "hs=0402010b", 47, TO_CLIENT, SAME },
    { "hs=040000130000000900000000000006" WORD "0000" HELLO, NONE, TO_CLIENT, SAME },
    { "hs=04000015ffffffff000000000" NONCE "0006" WORD "0000" HELLO, NONE, TO_CLIENT, SAME },
    /* whose lengths are wrong */
    { "hs=0400000f00000009000000000" NONCE "00000000" HELLO, 50, TO_CLIENT, SAME },
    { "hs=0400000d00000009000000000000000000" HELLO, 50, TO_CLIENT, SAME },
    { "hs=040000150000000900000000ff6e6e0006" WORD "0000" HELLO, 50, TO_CLIENT, SAME },
    { "hs=0400001500000009000000000" NONCE "ffff" WORD "0000" HELLO, 50, TO_CLIENT, SAME },
    /* with extensions: fafa is unknown; those that OpenSSL knows are nothing to us */
    { "hs=0400001b" FRONT "0006fafa00020102" HELLO, NONE, TO_CLIENT, SAME },
    { "hs=0400001b" FRONT "0006fafa00020102" TICKET HELLO, NONE, TO_CLIENT, SAME },
    { "hs=0400001f" FRONT "000afafa000201020a0a0000" HELLO, NONE, TO_CLIENT, SAME },
    { "hs=0400001b hs=" FRONT "0006fafa hs=00020102" HELLO, NONE, TO_CLIENT, SAME },
    { "hs=0400001d" FRONT "0008002a000400001000" HELLO, NONE, TO_CLIENT, SAME },
    { "hs=04000016" FRONT "0001fa" HELLO, 50, TO_CLIENT, SAME },
    { "hs=04000018" FRONT "0003000000" HELLO, 50, TO_CLIENT, SAME },
    { "hs=04000019" FRONT "0004fafa0005" HELLO, 50, TO_CLIENT, SAME },
    { "hs=0400001a" FRONT "0005fafa000201" HELLO, 50, TO_CLIENT, SAME },
    { "hs=0400001b" FRONT "0004fafa00020102" HELLO, 50, TO_CLIENT, SAME },
    { "hs=0400001b" FRONT "0008fafa00020102" HELLO, 50, TO_CLIENT, SAME },
    { "hs=0400001a" FRONT "0005002a000100" HELLO, NONE, TO_CLIENT, 50 },
    { "hs=04000019" FRONT "000400330000" HELLO, NONE, TO_CLIENT, 47 },
    { "hs=04000014000000090000000102"
      "6e6e"
      "00067469636b657400",
      50, TO_CLIENT, SAME },
    { "hs=04000016000000090000000102"
      "6e6e"
      "00067469636b6574"
      "0000"
      "7a",
      50, TO_CLIENT, SAME },
    { "hs=04000000", 50, TO_CLIENT, SAME },
    /* new keys */
    { "hs=1800000100 keys" HELLO, NONE, BOTH, SAME },
    { "hs=1800000101 keys" HELLO, NONE, BOTH, SAME },
    { "hs=1800 hs=000100 keys" HELLO, NONE, BOTH, SAME },
    { "hs=18000001+50 hs=01+50 keys" HELLO, NONE, BOTH, SAME },
    { "hs=1800000102 keys" HELLO, 47, BOTH, SAME },
    { "hs=18000001ff keys" HELLO, 47, BOTH, SAME },
    { "hs=18000000" HELLO, 50, BOTH, SAME },
    { "hs=180000020000" HELLO, 47, BOTH, SAME },
    { "hs=18ffffff" HELLO, 47, BOTH, SAME },
    { "hs=180000010018 keys" HELLO, 10, BOTH, SAME },
    { "hs=18000001001800000100 keys" HELLO, 10, BOTH, SAME },
};

/* ---- what comes of them ---- */

struct outcome {
    enum tls_verdict verdict;
    int              alert_sent, alert_received;
    size_t           plain_bytes;
    uint64_t         plain_sum;
    bool             answered; /* a KeyUpdate, or an alert */
};

static struct outcome told(struct forge *forge, size_t piece, size_t room)
{
    struct outcome outcome = { 0 };
    struct bytes   wire = buf_bytes(&forge->wire);
    uint8_t       *plain = malloc(room);

    do {
        struct bytes in = bytes_first(wire, piece);
        size_t       offered = in.len, got;

        do {
            outcome.verdict =
                tls_engine_read(forge->engine, &in, plain, room, &got, &forge->out);
            outcome.plain_bytes += got;
            for (size_t i = 0; i < got; i++)
                outcome.plain_sum = outcome.plain_sum * 31 + plain[i];
        } while (outcome.verdict == TLS_DONE);
        bytes_skip(&wire, offered - in.len);
    } while (wire.len > 0 && outcome.verdict == TLS_WANT_MORE);
    outcome.alert_sent = tls_engine_alert_sent(forge->engine);
    outcome.alert_received = tls_engine_alert_received(forge->engine);
    outcome.answered = forge->out.len > 0;
    free(plain);
    return outcome;
}

static struct outcome outcome_of(const struct oddity *oddity, enum tls_records layer,
                                 bool is_server, const char *suite, size_t piece, size_t room)
{
    struct forge   forge;
    struct outcome outcome;

    forge_init(&forge, is_server, layer, suite);
    forge_words(&forge, oddity->words);
    outcome = told(&forge, piece, room);
    if (outcome.alert_sent >= 0) { /* the far end can read it, and it is fatal */
        BIO_write(forge.to_peer, buf_bytes(&forge.out).p, (int)forge.out.len);
        assert_true(SSL_read(forge.peer, (char[1]){ 0 }, 1) <= 0);
        assert_int_equal(SSL_get_shutdown(forge.peer) & SSL_RECEIVED_SHUTDOWN,
                         SSL_RECEIVED_SHUTDOWN);
        assert_int_equal(forge.alert[0], TLS_ALERT_FATAL);
        assert_int_equal(forge.alert[1], outcome.alert_sent);
    }
    forge_fini(&forge);
    return outcome;
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
    return a->verdict == b->verdict && a->alert_sent == b->alert_sent &&
           a->alert_received == b->alert_received && a->plain_bytes == b->plain_bytes &&
           a->plain_sum == b->plain_sum && a->answered == b->answered;
}

static void show(const char *who, const struct outcome *o)
{
    print_error("  %s: verdict %d, alerts %d %d, %zu bytes, answered %d\n", who, o->verdict,
                o->alert_sent, o->alert_received, o->plain_bytes, o->answered);
}

/* False where they differ, or ours is not the one that is wanted. */
static bool compare(const struct oddity *oddity, bool is_server, const char *suite,
                    size_t piece, size_t room)
{
    struct outcome ours = outcome_of(oddity, TLS_RECORDS_OWN, is_server, suite, piece, room);
    struct outcome theirs =
        outcome_of(oddity, TLS_RECORDS_LIBRARY, is_server, suite, piece, room);

    if (ours.alert_sent == oddity->alert &&
        (is_same(&ours, &theirs) || theirs.alert_sent == oddity->other))
        return true;
    print_error("%s\n  to a %s, in pieces of %zu: wanted is alert %d\n", oddity->words,
                is_server ? "server" : "client", piece, oddity->alert);
    show("ours", &ours);
    show("OpenSSL", &theirs);
    return false;
}

static void compare_all(const char *suite, size_t piece, size_t room)
{
    int bad = 0;

    for (size_t i = 0; i < sizeof oddities / sizeof *oddities; i++) {
        bad += oddities[i].to != TO_CLIENT && !compare(&oddities[i], true, suite, piece, room);
        bad += oddities[i].to != TO_SERVER && !compare(&oddities[i], false, suite, piece, room);
    }
    assert_int_equal(bad, 0);
}

static void odd_records_get_the_alert_that_openssl_gives(void **state)
{
    compare_all("TLS_AES_256_GCM_SHA384", SIZE_MAX, 100000);
}

static void however_they_are_cut_and_whatever_the_room(void **state)
{
    compare_all("TLS_AES_128_GCM_SHA256", 1, 11);
    compare_all("TLS_CHACHA20_POLY1305_SHA256", 20000, 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_records_get_the_alert_that_openssl_gives),
        cmocka_unit_test(however_they_are_cut_and_whatever_the_room),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}
