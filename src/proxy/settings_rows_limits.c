/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rows.h"

#define MS      ((uint64_t)1000)
#define SECONDS (1000 * MS)
#define HOURS   (3600 * SECONDS)

#define AT(field) offsetof(struct limit_settings, field)
#define DURATION_ROW(row_name, row_preset, row_min, row_max, row_help)                         \
    {                                                                                          \
        .name = #row_name, .type = OPTION_DURATION, .field = AT(row_name##_us),                \
        .preset = (row_preset), .min = (row_min), .max = (row_max), .help = (row_help)         \
    }

const struct option settings_limit_rows[] = {
    { .name = "max_connections",
      .type = OPTION_NUMBER,
      .field = AT(max_connections),
      .preset = "10000",
      .min = 1,
      .max = 1000000,
      .help =
          "Client connections at one time. One more is refused with a proper error (53300)." },
    { .name = "max_pending_logins",
      .type = OPTION_NUMBER,
      .field = AT(max_pending_logins),
      .preset = "1000",
      .min = 1,
      .max = 1000000,
      .help =
          "Connections that have not logged in yet, counted apart, and those that were refused "
          "until they have read why, or for 2 seconds. Beyond it the oldest that was refused "
          "is closed, or else the oldest that has not finished TLS." },
    { .name = "max_connections_per_ip",
      .type = OPTION_NUMBER,
      .field = AT(max_connections_per_ip),
      .preset = "0",
      .max = 1000000,
      .help = "Connections from one client address; 0 is no limit. One more is refused with a "
              "proper error (53300), or closed where the protocol has none." },
    { .name = "handshakes_per_second",
      .type = OPTION_NUMBER,
      .field = AT(handshakes_per_second),
      .preset = "0",
      .max = 1000000,
      .help =
          "TLS handshakes with clients that are begun in one second; 0 is no limit. One more "
          "is refused (53300)." },
    DURATION_ROW(first_byte_timeout, "10s", MS, HOURS,
                 "From the accept to the client's first byte."),
    DURATION_ROW(handshake_timeout, "10s", MS, HOURS,
                 "From the first TLS byte, or the answer to SSLRequest, to the end of the "
                 "handshake; on each side."),
    DURATION_ROW(connect_timeout, "5s", MS, HOURS,
                 "For one attempt to connect to one address of the backend."),
    DURATION_ROW(login_timeout, "60s", MS, HOURS,
                 "From the accept until the server is ready for the first query, all of the "
                 "above included."),
    DURATION_ROW(idle_timeout, "0s", 0, 720 * HOURS,
                 "A session without a byte in either direction for so long is ended between "
                 "messages; \"0s\" is never."),
    DURATION_ROW(drain_timeout, "30s", MS, 24 * HOURS,
                 "How long sessions may go on after a signal to stop."),
    DURATION_ROW(tcp_keepalive, "60s", 0, 9 * HOURS,
                 "A TCP connection silent for so long is probed, both sides; whole seconds; "
                 "\"0s\" is never."),
    DURATION_ROW(tcp_user_timeout, "0s", 0, 24 * HOURS,
                 "Sent data that stays unacknowledged for so long ends the connection, both "
                 "sides; whole milliseconds; \"0s\" leaves it to the system."),
    { .name = NULL },
};
#undef AT

_Static_assert(sizeof settings_limit_rows / sizeof *settings_limit_rows <= OPTION_LIMIT,
               "section_lines");
