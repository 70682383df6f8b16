/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/log.h"

static const struct log_event_row rows[EVENT_COUNT] = {
    [EVENT_PROXY_START] = { "proxy.start", LOG_INFO,
                            "The program starts; says version, workers and routes." },
    [EVENT_PROXY_STOP] = { "proxy.stop", LOG_INFO, "The program ends." },
    [EVENT_LISTENER_READY] = { "listener.ready", LOG_INFO, "A listener accepts connections." },
    [EVENT_LISTENER_PAUSED] = { "listener.paused", LOG_WARN,
                                "Descriptors or memory ran out; accepting pauses and resumes "
                                "by itself." },
    [EVENT_RELOAD_OK] = { "reload.ok", LOG_INFO, "A new configuration serves." },
    [EVENT_RELOAD_WARNING] = { "reload.warning", LOG_WARN,
                               "The new configuration serves, with a warning." },
    [EVENT_RELOAD_FAILED] = { "reload.failed", LOG_WARN,
                              "The configuration has an error; what ran goes on. A line for "
                              "each error." },
    [EVENT_DRAIN] = { "drain", LOG_INFO,
                      "No more connections are accepted; sessions end between messages." },
    [EVENT_CONNECTION_END] = { "connection.end", LOG_INFO,
                               "A connection ended: who, how, how long and why." },
    [EVENT_CLIENT_ACCEPT] = { "client.accept", LOG_DEBUG, "A client connected." },
    [EVENT_CLIENT_PLAINTEXT] = { "client.plaintext", LOG_INFO,
                                 "A client of a listener with sslmode prefer came without TLS." },
    [EVENT_TLS_HANDSHAKE_OK] = { "tls.handshake.ok", LOG_DEBUG,
                                 "A handshake of either leg finished." },
    [EVENT_TLS_HANDSHAKE_FAILED] = { "tls.handshake.failed", LOG_WARN,
                                     "A handshake of either leg failed." },
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
    [EVENT_CHANNEL_BINDING] = { "channel_binding", LOG_WARN,
                                "Channel binding cannot pass this route; said once a route." },
    [EVENT_ROUTE_FAILED] = { "route.failed", LOG_ERROR, "A route cannot serve." },
    [EVENT_LOG_DROPPED] = { "log.dropped", LOG_WARN,
                            "Lines were dropped because the log was not written fast enough." },
};

const struct log_event_row *log_event_row(enum log_event event)
{
    return &rows[event];
}
