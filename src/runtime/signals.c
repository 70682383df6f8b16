/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_ready(struct loop_watch *watch, unsigned what)
{
    struct signals         *signals = container_of(watch, struct signals, watch);
    struct signalfd_siginfo info;

    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            signals->reload_requested(signals);
        else
            signals->stop_requested(signals);
    }
}

static sigset_t ours(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void signals_block(void)
{
    sigset_t set = ours();

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log that may grow no more is no reason to end */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

bool signals_stop_waits(void)
{
    sigset_t waiting;

    return sigpending(&waiting) == 0 &&
           (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1);
}

enum fail signals_start(struct signals *signals, struct loop *loop, struct failure *why)
{
    sigset_t  set = ours();
    enum fail rc;

    signals->loop = loop;
    signals->watch.ready = on_ready;
    signals->watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->watch.fd < 0)
        return fail_errno(why, errno, "signalfd");
    rc = loop_watch_start(loop, &signals->watch, LOOP_READABLE, why);
    if (rc != FAIL_NONE)
        close(signals->watch.fd);
    return rc;
}

void signals_stop(struct signals *signals)
{
    loop_watch_stop(signals->loop, &signals->watch);
    close(signals->watch.fd);
}
