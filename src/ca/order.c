/* SPDX-License-Identifier: PostgreSQL */
#include "ca/order.h"

#include "x509/subject.h"

const char *ca_base_name(enum issue_purpose purpose)
{
    switch (purpose) {
    case ISSUE_SERVER: return "server";
    case ISSUE_CLIENT: return "client";
    case ISSUE_AUTHORITY: break;
    }
    return "ca";
}

static enum fail check_purpose(const struct ca_order *order, struct failure *why)
{
    switch (order->purpose) {
    case ISSUE_SERVER:
        if (order->name_count == 0 && !order->takes_names)
            return fail(why, FAIL_CONFIG, "a server's certificate needs a name");
        break;
    case ISSUE_CLIENT:
        if (order->user == NULL && order->subject == NULL && !order->takes_names)
            return fail(why, FAIL_CONFIG, "a client's certificate needs a user or a subject");
        if (order->user != NULL && order->subject != NULL)
            return fail(why, FAIL_CONFIG, "the user is the subject: one of them is enough");
        break;
    case ISSUE_AUTHORITY:
        if (order->subject == NULL && !order->takes_names)
            return fail(why, FAIL_CONFIG, "an authority's certificate needs a subject");
        if (order->name_count > 0)
            return fail(why, FAIL_CONFIG, "an authority has no host names");
        break;
    }
    return FAIL_NONE;
}

enum fail ca_order_check(const struct ca_order *order, struct failure *why)
{
    if (order->days == 0 || order->days > ISSUE_MOST_DAYS)
        return fail(why, FAIL_CONFIG, "days must be 1 to %u", ISSUE_MOST_DAYS);
    if (order->renew_days >= order->days) {
        fail_hint(why, "a third of its days is usual: 30 of 90");
        return fail(why, FAIL_CONFIG,
                    "a certificate of %u days cannot be renewed %u days before", order->days,
                    order->renew_days);
    }
    if (order->path_length < ISSUE_ANY_PATH)
        return fail(why, FAIL_CONFIG, "path length cannot be negative");
    return check_purpose(order, why);
}

/* The common name of servers is for people: their names are the alternative ones. */
static struct X509_name_st *subject_of(const struct ca_order *order, struct failure *why)
{
    if (order->subject != NULL)
        return subject_parse(order->subject, why);
    if (order->user != NULL)
        return subject_of_common_name(order->user, why);
    if (order->name_count == 0 || strlen(order->names[0]) > SUBJECT_LONGEST_COMMON_NAME)
        return subject_empty(why);
    return subject_of_common_name(order->names[0], why);
}

enum fail ca_order_names(const struct ca_order *order, struct X509_name_st **subject,
                         struct stack_st_GENERAL_NAME **names, struct failure *why)
{
    *subject = NULL;
    if ((*names = subject_names(order->names, order->name_count, why)) == NULL)
        return FAIL_CONFIG;
    if ((*subject = subject_of(order, why)) != NULL)
        return FAIL_NONE;
    subject_names_free(*names);
    *names = NULL;
    return FAIL_CONFIG;
}

enum fail ca_order_prove(const struct ca_order *order, struct failure *why)
{
    struct X509_name_st          *subject = NULL;
    struct stack_st_GENERAL_NAME *names = NULL;
    enum fail                     rc = ca_order_check(order, why);

    if (rc == FAIL_NONE)
        rc = ca_order_names(order, &subject, &names, why);
    subject_free(subject);
    subject_names_free(names);
    return rc;
}
