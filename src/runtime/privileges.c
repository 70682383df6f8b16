/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

static enum fail change_ids(const struct passwd *entry, struct failure *why)
{
    if (initgroups(entry->pw_name, entry->pw_gid) == 0 &&
        setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) == 0 &&
        setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) == 0)
        return FAIL_NONE;
    return fail_errno(why, errno, "cannot become user \"%s\"", entry->pw_name);
}

enum fail privileges_become(const char *user, struct failure *why)
{
    struct passwd *entry;
    enum fail      rc = FAIL_NONE;

    errno = 0;
    entry = getpwnam(user);
    if (entry == NULL && errno != 0 && errno != ENOENT)
        return fail_errno(why, errno, "cannot look up user \"%s\"", user);
    if (entry == NULL)
        return fail(why, FAIL_CONFIG, "there is no user \"%s\"", user);
    if (geteuid() != entry->pw_uid && geteuid() != 0) {
        fail_hint(why, "start as root, or leave the setting out");
        return fail(why, FAIL_REFUSED, "only root can become user \"%s\"", user);
    }
    if (geteuid() != entry->pw_uid)
        rc = change_ids(entry, why);
    /* a passphrase command, say, gains nothing by its mode */
    if (rc == FAIL_NONE && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        rc = fail_errno(why, errno, "cannot give up new privileges");
    return rc;
}

void privileges_forbid_dumps(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail with these arguments */
}
