/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

enum fail privileges_become(const char *user, struct failure *why)
{
    struct passwd *entry;

    errno = 0;
    entry = getpwnam(user);
    if (entry == NULL && errno != 0)
        return fail_errno(why, errno, "cannot look up user \"%s\"", user);
    if (entry == NULL)
        return fail(why, FAIL_CONFIG, "there is no user \"%s\"", user);
    if (geteuid() == entry->pw_uid)
        return FAIL_NONE;
    if (geteuid() != 0) {
        fail_hint(why, "start as root, or leave the setting out");
        return fail(why, FAIL_CONFIG, "only root can become user \"%s\"", user);
    }
    if (initgroups(user, entry->pw_gid) != 0 ||
        setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0 ||
        setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0)
        return fail_errno(why, errno, "cannot become user \"%s\"", user);
    /* nothing that is run from here on, a passphrase command say, gains rights by its mode */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return FAIL_NONE;
}
