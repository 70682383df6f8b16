/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/log.h"

#include <stdio.h>

static const struct log_event_row rows[EVENT_COUNT] = {
    [EVENT_PROXY_START] = { "proxy.start", LOG_INFO,
                            "The program starts; says version, workers and routes." },
    [EVENT_PROXY_STOP] = { "proxy.stop", LOG_INFO, "The program ends." },
    [EVENT_EVENT_LOOP_REFUSED] = { "event_loop.refused", LOG_WARN,
                                   "The configuration asks for io_uring; a worker cannot have "
                                   "it and uses epoll." },
    [EVENT_LISTENER_READY] = { "listener.ready", LOG_INFO, "A listener accepts connections." },
    [EVENT_LISTENER_PAUSED] = { "listener.paused", LOG_WARN,
                                "Descriptors or memory ran out; accepting pauses and resumes "
                                "by itself." },
    [EVENT_RELOAD_OK] = { "reload.ok", LOG_INFO,
                          "A new configuration serves, or files that changed; cause is signal "
                          "or files, serial and not_after are of the certificates that are "
                          "new." },
    [EVENT_RELOAD_WARNING] = { "reload.warning", LOG_WARN,
                               "The new configuration serves, with a warning." },
    [EVENT_RELOAD_FAILED] = { "reload.failed", LOG_WARN,
                              "The configuration, or a file that changed, has an error; what "
                              "ran goes on. A line for each error; cause is signal or files, "
                              "failures counts." },
    [EVENT_RELOAD_BLIND] = { "reload.blind", LOG_WARN,
                             "The system does not tell of changed files; they are looked at "
                             "every cert_refresh_interval." },
    [EVENT_DRAIN] = { "drain", LOG_INFO,
                      "No more connections are accepted; sessions end between messages." },
    [EVENT_CONNECTION_END] = { "connection.end", LOG_INFO,
                               "A connection ended: who, how, how long and why." },
    [EVENT_CLIENT_ACCEPT] = { "client.accept", LOG_DEBUG, "A client connected." },
    [EVENT_CLIENT_PLAINTEXT] = { "client.plaintext", LOG_INFO,
                                 "A client of a listener with sslmode prefer came without "
                                 "TLS." },
    [EVENT_TLS_HANDSHAKE_OK] = { "tls.handshake.ok", LOG_DEBUG,
                                 "A handshake of either leg finished." },
    [EVENT_TLS_HANDSHAKE_FAILED] = { "tls.handshake.failed", LOG_WARN,
                                     "A handshake of either leg failed." },
    [EVENT_TLS_KERNEL] = { "tls.kernel", LOG_DEBUG,
                           "The kernel protects what a leg sends from here on, and what it "
                           "receives where it says so." },
    [EVENT_TLS_FAILED] = { "tls.failed", LOG_WARN,
                           "A session ends because records of a leg are wrong, could not be "
                           "made, or said so by an alert." },
    [EVENT_RECORD_LAYER_REFUSED] = { "record_layer.refused", LOG_WARN,
                                     "The configuration asks for records by the kernel; a "
                                     "connection does not have that, or not both ways. Said "
                                     "once a route and leg." },
    [EVENT_AUTH_OK] = { "auth.ok", LOG_DEBUG, "The server accepted the login." },
    [EVENT_AUTH_FAILED] = { "auth.failed", LOG_WARN,
                            "The proxy or the server refused the login." },
    [EVENT_BACKEND_CONNECT_OK] = { "backend.connect.ok", LOG_DEBUG, "Connected to a backend." },
    [EVENT_BACKEND_CONNECT_FAILED] = { "backend.connect.failed", LOG_WARN,
                                       "A backend was not found, not reached, or did not "
                                       "answer." },
    [EVENT_CANCEL] = { "cancel", LOG_DEBUG, "A cancel request was forwarded or refused." },
    [EVENT_LIMIT_REACHED] = { "limit.reached", LOG_WARN,
                              "A limit of the route ended or refused a connection." },
    [EVENT_CERTIFICATE_EXPIRING] = { "certificate.expiring", LOG_WARN,
                                     "A certificate or revocation list that is in use ends in "
                                     "30, 14, 7, 3 or 1 days, or has ended; said once each, at "
                                     "load or as time passes." },
    [EVENT_CHANNEL_BINDING] = { "channel_binding", LOG_WARN,
                                "Channel binding cannot pass this route; said once a route." },
    [EVENT_ROUTE_FAILED] = { "route.failed", LOG_ERROR, "A route cannot serve." },
    [EVENT_LOG_DROPPED] = { "log.dropped", LOG_WARN,
                            "Lines were dropped because the log was not written fast enough, "
                            "or "
                            "could not be written at all." },
    [EVENT_LOG_FAILED] = { "log.failed", LOG_WARN,
                           "The log file could not be opened again; the old one goes on." },
};

const struct log_event_row *log_event_row(enum log_event event)
{
    return &rows[event];
}

static bool read_level(const char *text, size_t len, enum log_level *level)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };

    for (int i = 0; i < 4; i++)
        if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

/* Whether the first word of the event's name is this. */
static bool is_of_part(enum log_event event, const char *part, size_t len)
{
    const char *name = rows[event].name;

    return strcspn(name, ".") == len && memcmp(name, part, len) == 0;
}

static bool set_part(struct log_levels *levels, const char *part, size_t len,
                     enum log_level level)
{
    bool found = false;

    for (int event = 0; event < EVENT_COUNT; event++)
        if (is_of_part((enum log_event)event, part, len)) {
            levels->of[event] = level;
            found = true;
        }
    return found;
}

/* "info" in front, or "tls=debug" behind it. */
static enum fail read_word(struct log_levels *levels, const char *word, size_t len,
                           bool is_first, struct failure *why)
{
    const char    *equals = memchr(word, '=', len);
    size_t         part = equals != NULL ? (size_t)(equals - word) : 0;
    const char    *text = equals != NULL ? equals + 1 : word;
    enum log_level level;

    if (is_first == (equals != NULL) ||
        !read_level(text, len - (size_t)(text - word), &level)) {
        fail_hint(why, "write debug, info, warn or error, and then others by part: "
                       "\"info,tls=debug\"");
        return fail(why, FAIL_CONFIG, "\"%.*s\" is not a level", (int)len, word);
    }
    if (equals == NULL) {
        for (int event = 0; event < EVENT_COUNT; event++)
            levels->of[event] = level;
        return FAIL_NONE;
    }
    if (set_part(levels, word, part, level))
        return FAIL_NONE;
    fail_hint(why, "a part is the first word of an event: see pgtls help events");
    return fail(why, FAIL_CONFIG, "\"%.*s\" is not a part of the log", (int)part, word);
}

enum fail log_levels_parse(struct log_levels *out, const char *text, struct failure *why)
{
    const char *at = text;

    for (;;) {
        size_t    len = strcspn(at, ",");
        enum fail rc = read_word(out, at, len, at == text, why);

        if (rc != FAIL_NONE || at[len] == '\0')
            return rc;
        at += len + 1;
    }
}
