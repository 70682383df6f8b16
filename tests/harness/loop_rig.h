/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/loop_rig.h - a loop of any backend, with a listener and the two ends
 * of a connection, each of which writes down what it is told
 *
 *     static void bytes_arrive(struct rig *rig)
 *     {
 *         struct end client, server;
 *
 *         rig_pair(rig, &client, &server);
 *         end_send(&client, BYTES("abc"));
 *         end_ask(&server, 0);
 *         until(rig, server.received == 1);
 *         ...
 *         rig_close(rig, &client, &server);
 *     }
 *
 * rig_run() runs a table of such functions on every backend, io_uring where the
 * system gives it.
 */
#ifndef PGTLS_HARNESS_LOOP_RIG_H
#define PGTLS_HARNESS_LOOP_RIG_H

#include "harness/check.h"
#include "io/loop_backend.h"

struct rig;
struct rig_test;

struct rig_backend {
    const char    *name;
    bool           is_real; /* a loop of the kernel's, not the simulation */
    enum loop_kind kind;    /* of a real one */
    bool           is_unix;
    bool           is_cut;
    uint64_t       seed;
};

struct end {
    struct stream stream;
    struct rig   *rig;
    void (*on_received)(struct end *end); /* NULL: nothing more to do */
    void (*on_sent)(struct end *end);
    struct end *friend; /* for on_received */

    unsigned   calls; /* completions of every kind */
    unsigned   connected;
    int        connect_error;
    unsigned   received;
    bool       keeps_asking;
    size_t     ask_for;
    size_t     largest;
    bool       got_end;
    int        receive_error;
    unsigned   sent;
    int        send_error;
    unsigned   closed;
    struct buf got;
};

struct rig {
    const struct rig_backend *backend;
    const struct rig_test    *test;
    struct loop              *loop;
    struct address            address;
    int                       listening_fd;
    struct loop_listener      listener;
    unsigned                  accepted;
    unsigned                  paused;
    int                       pause_error;
    struct loop_accepted      last;
    struct loop_timer         guard;
    struct loop_timer         waiting;
    bool                      gave_up;
    unsigned                  turns;
};

/* Turns the loop until `condition`; the test fails after half a minute. */
#define until(rig, condition)                                                                  \
    do {                                                                                       \
        while (!(condition)) {                                                                 \
            rig_turn(rig);                                                                     \
            assert_false((rig)->gave_up);                                                      \
        }                                                                                      \
    } while (0)

void     rig_turn(struct rig *rig);
unsigned rig_pass(struct rig *rig, uint64_t us); /* lets time pass; how many turns it took */

void rig_pair(struct rig *rig, struct end *client, struct end *server);
void rig_close(struct rig *rig, struct end *a, struct end *b); /* both may be closed already */

void end_connect(struct end *end, struct rig *rig); /* from zeroes */
void end_attach(struct end *end, struct rig *rig);  /* what was accepted last */
void end_ask(struct end *end, size_t at_most);
void end_send(struct end *end, struct bytes data);

struct rig_test {
    const char *name;
    void (*run)(struct rig *rig);
};

#define RIG_TEST(function)                                                                     \
    {                                                                                          \
#function, function                                                                    \
    }

/* Runs each on every backend that `wanted` says yes to (NULL: all); the result of main(). */
int rig_run(const struct rig_test *tests, size_t count,
            bool (*wanted)(const struct rig_backend *backend));

bool rig_is_real(const struct rig_backend *backend);
bool rig_is_epoll(const struct rig_backend *backend);
bool rig_is_io_uring(const struct rig_backend *backend);
bool rig_is_sim(const struct rig_backend *backend);

#endif
