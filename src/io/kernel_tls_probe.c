/* SPDX-License-Identifier: PostgreSQL */
#include "io/kernel_tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a connection to try with ---- */

static int listen_on_loopback(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int       fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof *address) == 0 &&
        listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)address, &size) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A socket connected to one that nobody accepts: established all the same, which is what the
 * kernel asks of it.  The descriptor of the listener is *other. */
static int connect_on_loopback(int *other)
{
    struct sockaddr_in address;
    int                fd;

    if ((*other = listen_on_loopback(&address)) < 0)
        return -1;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    close(*other);
    return -1;
}

/* ---- the trials ---- */

/* Returns 0, or an errno where no key at all can be set. */
static int try_one(struct kernel_tls_trial *trial, bool *rekeys)
{
    int other;
    int fd = connect_on_loopback(&other);
    int error = fd < 0 ? errno : kernel_tls_attach(fd);

    if (error == 0) {
        trial->sends = kernel_tls_set_key(fd, true, trial->keys) == 0;
        trial->receives = trial->sends && kernel_tls_set_key(fd, false, trial->keys) == 0;
        *rekeys = *rekeys || (trial->sends && kernel_tls_set_key(fd, true, trial->keys) == 0);
    }
    if (fd >= 0) {
        close(fd);
        close(other);
    }
    return error;
}

static void explain(struct kernel_tls_answer *answer)
{
    switch (answer->error) {
    case ENOENT:
        answer->refusal = "the kernel has no TLS: its module tls is not loaded";
        answer->hint = "load it (modprobe tls), also at boot (/etc/modules-load.d), or leave "
                       "record_layer to \"auto\"";
        break;
    case ENOPROTOOPT:
        answer->refusal = "the kernel is built without TLS";
        answer->hint = "leave record_layer to \"auto\"";
        break;
    case EPERM:
    case EACCES:
        answer->refusal =
            "a filter of system calls, or the system's policy, forbids TLS in the "
            "kernel";
        answer->hint = "allow setsockopt() TCP_ULP, or leave record_layer to \"auto\"";
        break;
    default:
        answer->refusal = "TLS in the kernel cannot be tried on a loopback connection";
        answer->hint = "leave record_layer to \"auto\"";
    }
}

struct kernel_tls_answer kernel_tls_probe(struct kernel_tls_trial *trials, size_t count)
{
    struct kernel_tls_answer answer = { 0 };
    size_t                   useful = 0;

    for (size_t i = 0; i < count && answer.error == 0; i++) {
        answer.error = try_one(&trials[i], &answer.rekeys);
        useful += trials[i].sends;
    }
    if (answer.error != 0) {
        explain(&answer);
    } else if (useful == 0) {
        answer.refusal = "the kernel has no cipher of TLS 1.3";
        answer.hint = "Linux 5.1 and later have; or leave record_layer to \"auto\"";
    }
    return answer;
}
