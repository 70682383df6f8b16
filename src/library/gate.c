/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/gate.h"

#include "library/parts.h"
#include "session/dial.h"
#include "session/gate.h"

#include <stdlib.h>

_Static_assert(PGTLS_GATE_TLS_REQUIRED == (int)GATE_TLS_REQUIRED &&
                   PGTLS_GATE_INSIDE_DIRECT_TLS == (int)GATE_INSIDE_DIRECT_TLS &&
                   PGTLS_GATE_START_TLS == (int)GATE_START_TLS &&
                   PGTLS_GATE_START_DIRECT_TLS == (int)GATE_START_DIRECT_TLS &&
                   PGTLS_GATE_STARTUP == (int)GATE_STARTUP &&
                   PGTLS_GATE_CANCEL == (int)GATE_CANCEL &&
                   PGTLS_GATE_REFUSED == (int)GATE_REFUSED &&
                   PGTLS_GATE_CLOSE_SILENTLY == (int)GATE_CLOSE_SILENTLY,
               "words of the gate");

struct pgtls_gate {
    struct gate gate;
};

struct pgtls_gate *pgtls_gate_new(enum pgtls_gate_policy policy, enum pgtls_gate_layer layer)
{
    bool is_known = (unsigned)policy <= PGTLS_GATE_TLS_REQUIRED &&
                    (unsigned)layer <= PGTLS_GATE_INSIDE_DIRECT_TLS;
    struct pgtls_gate *gate = is_known ? malloc(sizeof *gate) : NULL;

    if (gate)
        gate_init(&gate->gate, (enum gate_policy)policy, (enum gate_layer)layer);
    return gate;
}

void pgtls_gate_free(struct pgtls_gate *gate)
{
    free(gate);
}

enum pgtls_gate_verdict pgtls_gate_feed(struct pgtls_gate *gate, struct pgtls_bytes *in,
                                        struct pgtls_buffer *out)
{
    struct bytes      left = bytes_of(in->p, in->len);
    enum gate_verdict verdict = gate_feed(&gate->gate, &left, &out->buf);

    *in = (struct pgtls_bytes){ left.p, left.len };
    return (enum pgtls_gate_verdict)verdict;
}

void pgtls_gate_error(const struct pgtls_gate *gate, struct pgtls_error *error)
{
    library_copy_failure(error, gate_failure(&gate->gate));
}

void pgtls_ask_for_tls(struct pgtls_buffer *out)
{
    dial_ask_for_tls(&out->buf);
}

enum pgtls_error_kind pgtls_tls_answer(uint8_t answer, struct pgtls_error *error)
{
    return (enum pgtls_error_kind)dial_answer(answer, library_failure(error));
}
