/* SPDX-License-Identifier: PostgreSQL */
/* pgtls-check.1 and docs/findings.md, from the catalogue of findings. */
#include "cli/command.h"
#include "cli/manual.h"
#include "conf/manual.h"
#include "doctor/finding.h"

#include <string.h>

static const char intro[] =
    "Tries a connection to a PostgreSQL or Redis server step by step: settings, resolve, "
    "connect, negotiate, plaintext, handshake, certificate, verify, login. Each step is shown "
    "as it runs, with its time and what it found. What is wrong is a finding with an id that "
    "scripts can look for, and with what the client, the server or a proxy between can do "
    "about it.";

static const char warning[] =
    "The severity is the highest that a finding can have: where the sslmode that was asked "
    "for does not need what is wrong, it is a warning, and the connection works.";

static const char probing[] =
    "Several steps open connections of their own; the server's log shows them as connections "
    "that end early. The step plaintext sends user and database without TLS, as any client "
    "with sslmode=disable would, and no password. Over a connection whose server was not "
    "verified no password is sent, and no hash or proof made of one.";

/* ---- the manual page ---- */

static void put_section(struct buf *out, const char *heading, const char *text)
{
    buf_put_format(out, ".SH \"%s\"\n", heading);
    conf_write_roff(out, text);
    buf_put(out, BYTES("\n"));
}

static void put_advice(struct buf *out, const char *side, const char *text)
{
    if (text == NULL)
        return;
    buf_put_format(out, ".br\n.I %s:\n", side);
    conf_write_roff(out, text);
    buf_put(out, BYTES("\n"));
}

static void put_findings(struct buf *out)
{
    for (enum finding i = 0; i < FINDING_COUNT; i++) {
        const struct finding_row *row = finding_row(i);

        buf_put(out, BYTES(".TP\n\\fB"));
        conf_write_roff(out, row->id);
        buf_put_format(out, "\\fR (%s)\n", severity_name(row->severity));
        conf_write_roff(out, row->text);
        buf_put(out, BYTES("\n"));
        put_advice(out, "client", row->client);
        put_advice(out, "server", row->server);
        put_advice(out, "proxy", row->proxy);
    }
}

void manual_write_check_page(struct buf *out)
{
    buf_put(out, BYTES(".TH PGTLS\\-CHECK 1 \"\" \"pgtls\" \"pgtls\"\n"));
    put_section(out, "NAME",
                "pgtls-check - finds out why a connection fails, and what to do about it");
    buf_put(out, BYTES(".SH \"SYNOPSIS\"\n.B pgtls check\n.I URI\n.RI [ OPTION ]...\n"));
    put_section(out, "DESCRIPTION", intro);
    buf_put(out, BYTES(".PP\n"));
    conf_write_roff(out, probing);
    buf_put(out, BYTES("\n.SH \"USAGE\"\n.nf\n"));
    conf_write_roff(out, command_find("check")->usage);
    buf_put(out, BYTES("\n.fi\n"));
    put_section(out, "FINDINGS", warning);
    put_findings(out);
    put_section(out, "ENVIRONMENT",
                "libpq's variables, PGHOST to PGSSLNEGOTIATION, but for those of GSSAPI. "
                "NO_COLOR: no colours on a terminal.");
    buf_put(out,
            BYTES(".SH \"SEE ALSO\"\n.BR pgtls (1),\n.BR pgtls\\-cert (1),\n.BR psql (1)\n"));
}

/* ---- docs/findings.md ---- */

/* The part before the dot; findings of one part stand together. */
static size_t part_length(const char *id)
{
    return strcspn(id, ".");
}

static bool same_part(const char *a, const char *b)
{
    return part_length(a) == part_length(b) && strncmp(a, b, part_length(a)) == 0;
}

static void put_row(struct buf *out, const struct finding_row *row)
{
    const char *sides[] = { row->client, row->server, row->proxy };

    buf_put_format(out, "| `%s` | %s | %s |", row->id, severity_name(row->severity), row->text);
    for (size_t i = 0; i < 3; i++)
        buf_put_format(out, " %s |", sides[i] != NULL ? sides[i] : "");
    buf_put(out, BYTES("\n"));
}

static bool is_first_of_its_part(enum finding finding)
{
    for (enum finding i = 0; i < finding; i++) {
        if (same_part(finding_row(i)->id, finding_row(finding)->id))
            return false;
    }
    return true;
}

void manual_write_findings(struct buf *out)
{
    buf_put(out,
            BYTES("# What `pgtls check` finds\n\n"
                  "Printed by `pgtls help findings` from the catalogue in "
                  "`src/doctor/finding.c`; [check.md](check.md) shows\nthree diagnoses. "));
    buf_put_format(out, "%s\n", warning);
    for (enum finding first = 0; first < FINDING_COUNT; first++) {
        const char *id = finding_row(first)->id;

        if (!is_first_of_its_part(first))
            continue;
        buf_put_format(out,
                       "\n## %.*s\n\n| id | severity | what | client | server | proxy |\n"
                       "| --- | --- | --- | --- | --- | --- |\n",
                       (int)part_length(id), id);
        for (enum finding i = first; i < FINDING_COUNT; i++) {
            if (same_part(finding_row(i)->id, id))
                put_row(out, finding_row(i));
        }
    }
}
