/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/worker.h"

#include <semaphore.h>
#include <signal.h>

enum fail worker_init(struct worker *worker, unsigned index, unsigned of, struct loop *loop,
                      struct log *log, struct failure *why)
{
    enum fail rc;

    /* not the whole struct: pthread_create() may be writing `thread` just now */
    worker->index = index;
    worker->log = log;
    worker->loop = loop;
    worker->next_connection = index + 1;
    worker->id_step = of;
    if ((rc = buffers_init(&worker->buffers, why)) != FAIL_NONE)
        return rc;
    worker->resolver = resolver_new(loop, why);
    worker->aeads = tls_aeads_new();
    if (worker->resolver != NULL && worker->aeads != NULL)
        return FAIL_NONE;
    if (worker->aeads == NULL)
        fail(why, FAIL_MEMORY, "out of memory");
    resolver_free(worker->resolver);
    tls_aeads_release(worker->aeads);
    buffers_fini(&worker->buffers);
    return why->kind;
}

void worker_fini(struct worker *worker)
{
    resolver_free(worker->resolver);
    tls_aeads_release(worker->aeads);
    buffers_fini(&worker->buffers);
    slab_fini(&worker->approaches);
    slab_fini(&worker->conversations);
    loop_free(worker->loop);
}

struct start {
    struct worker  *worker;
    unsigned        index;
    unsigned        of;
    enum loop_kind  kind;
    struct log     *log;
    struct failure *why;
    enum fail       result;
    sem_t           done;
};

static enum fail set_up(struct start *start)
{
    struct loop *loop = loop_new(start->kind, start->why);
    enum fail    rc;

    if (loop == NULL)
        return start->why->kind;
    rc = worker_init(start->worker, start->index, start->of, loop, start->log, start->why);
    if (rc != FAIL_NONE)
        loop_free(loop);
    return rc;
}

static void *worker_main(void *argument)
{
    struct start  *start = argument;
    struct worker *worker = start->worker;
    enum fail      result = start->result = set_up(start);

    sem_post(&start->done); /* `start` is gone from here on */
    if (result == FAIL_NONE)
        loop_run(worker->loop);
    return NULL;
}

/* Signals are the control thread's: a worker inherits all of them blocked. */
static int start_thread(struct start *start)
{
    sigset_t all, before;
    int      error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&start->worker->thread, NULL, worker_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

enum fail worker_start(struct worker *worker, unsigned index, unsigned of, enum loop_kind kind,
                       struct log *log, struct failure *why)
{
    struct start start = {
        .worker = worker, .index = index, .of = of, .kind = kind, .log = log, .why = why
    };
    int error;

    sem_init(&start.done, 0, 0);
    error = start_thread(&start);
    if (error != 0) {
        sem_destroy(&start.done);
        return fail_errno(why, error, "could not start a worker");
    }
    while (sem_wait(&start.done) != 0)
        ;
    sem_destroy(&start.done);
    if (start.result != FAIL_NONE)
        pthread_join(worker->thread, NULL);
    return start.result;
}

void worker_post(struct worker *worker, struct loop_task *task)
{
    loop_post(worker->loop, task);
}

struct call {
    struct loop_task  task;
    struct loop_task *inner;
    sem_t             done;
};

static void run_call(struct loop_task *task)
{
    struct call *call = container_of(task, struct call, task);

    call->inner->run(call->inner);
    sem_post(&call->done);
}

void worker_call(struct worker *worker, struct loop_task *task)
{
    struct call call = { .task.run = run_call, .inner = task };

    sem_init(&call.done, 0, 0);
    loop_post(worker->loop, &call.task);
    while (sem_wait(&call.done) != 0)
        ;
    sem_destroy(&call.done);
}

struct stop {
    struct loop_task task;
    struct loop     *loop;
};

static void run_stop(struct loop_task *task)
{
    loop_stop(container_of(task, struct stop, task)->loop);
}

void worker_stop(struct worker *worker)
{
    struct stop stop = { .task.run = run_stop, .loop = worker->loop };

    loop_post(worker->loop, &stop.task);
    pthread_join(worker->thread, NULL);
    /* only now: the post may still be busy with the loop when the loop has ended */
    worker_fini(worker);
}

uint64_t worker_new_id(struct worker *worker)
{
    uint64_t id = worker->next_connection;

    worker->next_connection += worker->id_step;
    return id;
}
