/* SPDX-License-Identifier: PostgreSQL */
#include "doctor/finding.h"

#define INFO    SEVERITY_INFO
#define WARNING SEVERITY_WARNING
#define ERROR   SEVERITY_ERROR

/* Order: id, severity, text; then what the client, the server and a proxy between can do. */
/* clang-format off */
static const struct finding_row rows[FINDING_COUNT] = {
    [FINDING_SETTINGS_IDLE] = {
        "settings.idle", INFO, "parameters that a check takes no notice of",
        "nothing: the application's own library heeds them", 0, 0 },
    [FINDING_SETTINGS_WEAK_MODE] = {
        "settings.weak-mode", WARNING,
        "this sslmode does not verify the server: whoever is in the middle can read along",
        "connect with sslmode=verify-full and the CA's certificate in sslrootcert", 0, 0 },
    [FINDING_ROOT_MISSING] = {
        "files.root-missing", ERROR, "the file of trusted CAs is not there",
        "copy the root certificate of the server's CA there, or name the right file in "
        "sslrootcert; sslrootcert=system trusts the CAs of the operating system", 0, 0 },
    [FINDING_ROOT_UNREADABLE] = {
        "files.root-unreadable", ERROR, "the trusted CAs cannot be read",
        "the file must be PEM text with BEGIN CERTIFICATE, readable by this user", 0, 0 },
    [FINDING_CERTIFICATE_FILE_MISSING] = {
        "files.certificate-missing", ERROR, "the file of the client's certificate is not there",
        "name the right file in sslcert, or none", 0, 0 },
    [FINDING_CERTIFICATE_FILE_UNREADABLE] = {
        "files.certificate-unreadable", ERROR, "the client's certificate cannot be read",
        "the file must be PEM text: the certificate first, then those that signed it", 0, 0 },
    [FINDING_KEY_MISSING] = {
        "files.key-missing", ERROR, "the file of the client's private key is not there",
        "name the right file in sslkey", 0, 0 },
    [FINDING_KEY_MODE] = {
        "files.key-mode", ERROR,
        "others may read the client's private key, so that libpq refuses it",
        "chmod 0600 it; 0640 is good where root owns it", 0, 0 },
    [FINDING_KEY_UNREADABLE] = {
        "files.key-unreadable", ERROR, "the client's private key cannot be read",
        "the file must be PEM text; a passphrase goes into sslpassword", 0, 0 },
    [FINDING_KEY_MISMATCH] = {
        "files.key-mismatch", ERROR, "the private key and the certificate do not fit",
        "renew certificate and key together; the file must begin with the client's own "
        "certificate", 0, 0 },
    [FINDING_CRL_UNREADABLE] = {
        "files.crl-unreadable", ERROR, "the revocation list cannot be read",
        "sslcrl must be PEM text with BEGIN X509 CRL", 0, 0 },
    [FINDING_PASSWORD_FILE_UNREAD] = {
        "files.password-file-unread", WARNING, "the password file was not read",
        "chmod 0600 it", 0, 0 },
    [FINDING_OWN_CERTIFICATE_EXPIRED] = {
        "files.certificate-expired", ERROR, "the client's own certificate has expired",
        "get a new one from the CA that the server trusts", 0, 0 },

    [FINDING_NAME_NOT_FOUND] = {
        "resolve.not-found", ERROR, "no address is known for the host name",
        "is the name spelt right, and is it known in this network?",
        "enter the name in DNS", 0 },
    [FINDING_RESOLVE_FAILED] = {
        "resolve.failed", ERROR, "no name server answers",
        "look at /etc/resolv.conf; hostaddr= connects without a look-up", 0, 0 },
    [FINDING_RESOLVE_SLOW] = {
        "resolve.slow", WARNING, "the look-up of the host name takes long",
        "the first name server of /etc/resolv.conf may be down; hostaddr= does without", 0, 0 },
    [FINDING_CONNECT_REFUSED] = {
        "connect.refused", ERROR, "nobody accepts connections there",
        "are host and port right?",
        "is it running, and does listen_addresses (Redis: bind) have this address?",
        "is its bind_address the one that clients use?" },
    [FINDING_CONNECT_TIMEOUT] = {
        "connect.timeout", ERROR, "no answer to the attempt to connect",
        "is a firewall between, or is the address of another network?",
        "let the port through the firewall", 0 },
    [FINDING_CONNECT_FAILED] = {
        "connect.failed", ERROR, "the connection cannot be made",
        "the system's own words tell why", 0, 0 },
    [FINDING_CONNECT_SOME_DEAD] = {
        "connect.some-dead", WARNING, "one of several addresses cannot be reached",
        "clients lose time with it before they try the next one",
        "take the address out of DNS, or let the server listen there", 0 },

    [FINDING_SERVER_HTTP] = {
        "server.http", ERROR, "an HTTP server answers there",
        "host or port is another service's", 0,
        "a load balancer for HTTP cannot carry this protocol: it must forward TCP" },
    [FINDING_SERVER_SSH] = {
        "server.ssh", ERROR, "an SSH server answers there",
        "host or port is another service's; for a tunnel, connect to its local end", 0, 0 },
    [FINDING_SERVER_MYSQL] = {
        "server.mysql", ERROR, "a server of another protocol greets there",
        "host or port is another service's", 0, 0 },
    [FINDING_SERVER_REDIS] = {
        "server.redis", ERROR, "a Redis server without TLS answers there",
        "use a redis:// URI, or ask for the port of PostgreSQL",
        "for TLS, give Redis a tls-port and its certificate",
        "pgtls proxy puts TLS in front of it" },
    [FINDING_SERVER_REDIS_TLS] = {
        "server.redis-tls", ERROR, "a Redis server with TLS answers there",
        "use a rediss:// URI, or ask for the port of PostgreSQL", 0, 0 },
    [FINDING_SERVER_POSTGRESQL] = {
        "server.postgresql", ERROR, "a PostgreSQL server answers there",
        "use a postgresql:// URI, or ask for the port of Redis", 0, 0 },
    [FINDING_SERVER_TLS] = {
        "server.tls", ERROR,
        "the server speaks TLS from the first byte, and does not know SSLRequest",
        "if it is PostgreSQL 17 or later behind a proxy: sslnegotiation=direct", 0,
        "a proxy that ends TLS must answer SSLRequest, or its clients must connect directly" },
    [FINDING_SERVER_SILENT] = {
        "server.silent", ERROR, "somebody accepts the connection and never answers",
        "is this the right port?",
        "is it overloaded or stopped (ps shows T), or is its connection queue full?",
        "does it reach its backend?" },
    [FINDING_SERVER_CLOSES] = {
        "server.closes", ERROR, "somebody accepts the connection and closes it without a word",
        "is this client's address allowed there?",
        "its log has the reason: a list of allowed addresses, or no process to spare",
        "does it reach its backend, and do allow and deny let this client in?" },
    [FINDING_SERVER_UNKNOWN] = {
        "server.unknown", ERROR, "what answers there is neither PostgreSQL nor Redis",
        "host or port is another service's", 0, 0 },

    [FINDING_NO_TLS] = {
        "negotiate.no-tls", ERROR, "the server has no TLS",
        "without it only sslmode=disable, allow or prefer can work",
        "set ssl = on with ssl_cert_file and ssl_key_file (Redis: tls-port), and reload",
        "give its listener a server_cert and server_key" },
    [FINDING_ERROR_ANSWER] = {
        "negotiate.error-answer", ERROR, "the server answers the question for TLS by an error",
        "its text is not shown: nobody knows whose it is",
        "its log has the reason: out of processes or memory, or a very old version", 0 },
    [FINDING_BYTES_BEHIND_S] = {
        "negotiate.bytes-behind-s", ERROR,
        "bytes follow the answer to SSLRequest before TLS has begun: somebody may be "
        "injecting them (CVE-2021-23222)",
        "do not connect through this network", "update it",
        "it must read exactly one byte and pass on exactly one" },
    [FINDING_DIRECT_REFUSED] = {
        "negotiate.direct-refused", ERROR,
        "TLS from the first byte (sslnegotiation=direct) is not taken",
        "use sslnegotiation=postgres", "PostgreSQL 17 and later know it",
        "set direct_tls = \"allow\"" },
    [FINDING_GSS_TAKEN] = {
        "negotiate.gss", INFO, "the server takes GSSAPI encryption",
        "clients with a Kerberos ticket use it in place of TLS, unless gssencmode=disable", 0,
        0 },
    [FINDING_PLAINTEXT_ACCEPTED] = {
        "negotiate.plaintext-accepted", WARNING,
        "the server lets this user in without TLS as well",
        0, "write hostssl in place of host in pg_hba.conf",
        "set the listener's sslmode to require or more" },
    [FINDING_PLAINTEXT_REFUSED] = {
        "negotiate.plaintext-refused", ERROR, "the server demands TLS",
        "use sslmode=require or more", 0, 0 },

    [FINDING_HANDSHAKE_TIMEOUT] = {
        "handshake.timeout", ERROR, "the TLS handshake does not come to an end",
        "is a middlebox dropping large packets? Try with a smaller MTU",
        "is it overloaded?", "does it reach its backend?" },
    [FINDING_HANDSHAKE_CUT] = {
        "handshake.cut", ERROR, "the connection is lost in the middle of the handshake",
        0, "its log has the reason; a key that it cannot read is a frequent one",
        "a firewall that knows no TLS on this port resets such connections" },
    [FINDING_HANDSHAKE_NOT_TLS] = {
        "handshake.not-tls", ERROR, "what answers to TLS is not TLS",
        "is TLS spoken on this port at all?", 0, 0 },
    [FINDING_OLD_PROTOCOL] = {
        "handshake.old-protocol", ERROR, "no version of TLS is known to both sides",
        "TLS 1.2 and 1.3 are spoken here; ssl_min_protocol_version may ask for too much",
        "allow TLSv1.2 or later: ssl_min_protocol_version and ssl_max_protocol_version", 0 },
    [FINDING_NO_COMMON_CIPHER] = {
        "handshake.no-common-cipher", ERROR, "no cipher or group is known to both sides",
        "openssl.cnf may restrict ciphers or groups",
        "allow ECDHE with AES-GCM or ChaCha20 in ssl_ciphers, and X25519 or P-256 as a group",
        0 },
    [FINDING_WRONG_ALPN] = {
        "handshake.wrong-alpn", ERROR, "the server does not speak the protocol that ALPN names",
        "is this the port of PostgreSQL?", 0,
        "its ALPN list must have postgresql; one for HTTP has not" },
    [FINDING_SNI_UNKNOWN] = {
        "handshake.sni-unknown", ERROR, "the server does not know the name that SNI announces",
        "connect to a name that it knows", "add the name to its hosts",
        "add the name to a [[proxy.host]], or a host for \"*\"" },
    [FINDING_SNI_NEEDED] = {
        "handshake.sni-needed", INFO,
        "the server shows another certificate, or none, to clients that announce no name",
        "connect by name, not by address, and leave sslsni=1", 0,
        "a host \"/no_sni/\" serves clients without SNI" },
    [FINDING_HANDSHAKE_FAILED] = {
        "handshake.failed", ERROR, "the TLS handshake fails", "the text has the reason",
        "its log has the other half of it", 0 },
    [FINDING_NOT_POST_QUANTUM] = {
        "handshake.not-post-quantum", INFO,
        "the key exchange is not hybrid: who records it now may read it with a quantum "
        "computer",
        "OpenSSL 3.5 and later offer X25519MLKEM768", "the same", "the same" },

    [FINDING_EXPIRED] = {
        "certificate.expired", ERROR, "a certificate of the server has expired",
        "is the clock here right?",
        "renew it and reload; pgtls cert server --renew-before 30d does so in time",
        "the same, for the certificate of its listener" },
    [FINDING_NOT_YET_VALID] = {
        "certificate.not-yet-valid", ERROR, "a certificate of the server is from the future",
        "is the clock here right?", "was the clock right where it was made?", 0 },
    [FINDING_EXPIRES_SOON] = {
        "certificate.expires-soon", WARNING, "a certificate of the server expires soon", 0,
        "renew it and reload", "the same, for the certificate of its listener" },
    [FINDING_SELF_SIGNED] = {
        "certificate.self-signed", ERROR,
        "the server's certificate is signed by itself, and not among the trusted ones",
        "copy it from the server, by a way that is safe, and name it in sslrootcert",
        "better: a certificate of a CA (pgtls cert ca, pgtls cert server)", 0 },
    [FINDING_UNKNOWN_CA] = {
        "certificate.unknown-ca", ERROR,
        "the chain leads to a CA that is not among the trusted ones",
        "put the root certificate of that CA into sslrootcert", 0, 0 },
    [FINDING_LEAF_ONLY] = {
        "certificate.leaf-only", ERROR,
        "the server sends its own certificate alone, and who signed it is not trusted",
        "if a CA signed it directly: put that CA's certificate into sslrootcert",
        "append every intermediate certificate to ssl_cert_file, behind its own",
        "append them to server_cert" },
    [FINDING_MISSING_INTERMEDIATE] = {
        "certificate.missing-intermediate", ERROR,
        "a certificate is missing in the chain that the server sends",
        0, "its file must have its own certificate, then each one that signed the one before",
        "the same, in server_cert" },
    [FINDING_WRONG_ORDER] = {
        "certificate.wrong-order", WARNING,
        "the certificates are not sent in order; some clients fail with that",
        0, "write its own first, then each one that signed the one before", "the same" },
    [FINDING_BAD_SIGNATURE] = {
        "certificate.bad-signature", ERROR,
        "a trusted CA has the right name and another key: it was made anew",
        "get the CA's present certificate and put it into sslrootcert, beside the old one",
        "was its certificate signed by the CA of before?", 0 },
    [FINDING_WEAK_KEY] = {
        "certificate.weak-key", ERROR, "a key of the chain is too short",
        0, "make a new key: EC P-256, or RSA of 2048 bits or more", "the same" },
    [FINDING_WEAK_HASH] = {
        "certificate.weak-hash", ERROR, "a certificate is signed with SHA-1 or MD5",
        0, "have it signed again with SHA-256", "the same" },
    [FINDING_REVOKED] = {
        "certificate.revoked", ERROR, "a certificate of the server has been revoked",
        "do not connect until it is replaced", "get a new key and certificate", "the same" },
    [FINDING_CRL_EXPIRED] = {
        "certificate.crl-expired", ERROR, "the revocation list has expired",
        "get the CA's present list (pgtls cert crl makes one) and put it into sslcrl", 0, 0 },
    [FINDING_CRL_MISSING] = {
        "certificate.crl-missing", ERROR,
        "a CA of the chain has no revocation list, and all of them are checked",
        "sslcrl must have a list of every CA in the chain, the root's too", 0, 0 },
    [FINDING_WRONG_PURPOSE] = {
        "certificate.wrong-purpose", ERROR, "the certificate is not one for servers",
        0, "its extended key usage must have serverAuth", "the same" },
    [FINDING_INVALID_CA] = {
        "certificate.invalid-ca", ERROR,
        "a certificate is signed by one that may not sign it",
        0, "the signer must have CA:TRUE, keyCertSign, and a path length that is enough", 0 },
    [FINDING_CHAIN_REFUSED] = {
        "certificate.refused", ERROR, "the chain does not verify", "the text has the reason",
        0, 0 },
    [FINDING_CLOCK_SKEW] = {
        "clock.skew", WARNING, "the clocks of client and server differ",
        "run a time service here", "run one there", 0 },

    [FINDING_NAME_MISMATCH] = {
        "name.mismatch", ERROR, "the certificate is for another name",
        "connect to a name that it has (hostaddr= for the address)",
        "get a certificate with the name that clients use among its alternative names",
        "the same, for its listener" },
    [FINDING_IP_WITHOUT_SAN] = {
        "name.ip-without-san", ERROR,
        "the connection is made to an IP address, and the certificate does not name it",
        "connect by name; host=NAME hostaddr=ADDRESS does so without DNS",
        "get a certificate with IP:ADDRESS among its alternative names", 0 },
    [FINDING_NO_SAN] = {
        "name.no-san", WARNING,
        "the certificate has a common name and no alternative names; newer clients look at "
        "those alone",
        0, "get a certificate with DNS:NAME among its alternative names", 0 },
    [FINDING_WILDCARD] = {
        "name.wildcard", ERROR, "the certificate's wildcard does not cover the host",
        "a star stands for the whole first label and for one label only",
        "get a certificate for the name itself", 0 },
    [FINDING_NAME_BROKEN] = {
        "name.broken", ERROR,
        "a name in the certificate has a zero byte in it, or cannot be read",
        "do not trust it: such certificates were made for attacks",
        "get another certificate", 0 },
    [FINDING_NO_HOST_NAME] = {
        "name.no-host", ERROR, "there is no host name to compare the certificate with",
        "add host=NAME beside hostaddr=ADDRESS", 0, 0 },

    [FINDING_CLIENT_CERTIFICATE_MISSING] = {
        "client.certificate-missing", ERROR,
        "the server demands a client certificate, and none is sent",
        "name one in sslcert and sslkey, of a CA that the server trusts", 0, 0 },
    [FINDING_CLIENT_CERTIFICATE_REFUSED] = {
        "client.certificate-refused", ERROR, "the server refuses the client's certificate",
        "is it of the right CA, with its intermediates behind it, valid, for clients?",
        "ssl_ca_file must have the root certificate of the clients' CA; its log says more",
        "the same, for client_ca" },
    [FINDING_CLIENT_CERTIFICATE_NAME] = {
        "client.certificate-name", ERROR,
        "the client's certificate does not fit the user",
        "the common name must be the user, unless a map says otherwise",
        "a line of pg_ident.conf and map= in pg_hba.conf let it in",
        "the same, with ident_file and ident_map" },
    [FINDING_CLIENT_CERTIFICATE_UNASKED] = {
        "client.certificate-unasked", ERROR,
        "there is a client certificate, and the server does not ask for it",
        "leave sslcert out, unless sslcertmode=require", "set ssl_ca_file and reload",
        "set client_ca" },

    [FINDING_BINDING_BROKEN] = {
        "binding.broken", ERROR,
        "channel binding fails: client and server see different certificates",
        "if the proxy between is yours: channel_binding=disable",
        "it is behind a proxy that ends TLS, or somebody is in the middle",
        "give it the server's own certificate and key, or let it reach the server in the "
        "clear (Unix socket)" },
    [FINDING_BINDING_STRIPPED] = {
        "binding.stripped", ERROR,
        "the server offers channel binding, and somebody between takes it out",
        "if the proxy between is yours: channel_binding=disable", 0,
        "it must pass the list of mechanisms on as it is" },
    [FINDING_BINDING_NOT_OFFERED] = {
        "binding.not-offered", ERROR,
        "channel binding is not offered although the connection is TLS",
        "channel_binding=require cannot work", "PostgreSQL 11 and later offer it",
        "it ends TLS, and the server behind it is reached in the clear" },
    [FINDING_BINDING_UNDEFINED] = {
        "binding.undefined", ERROR,
        "channel binding is not defined for this kind of certificate",
        "channel_binding=require cannot work",
        "a certificate signed with ECDSA or RSA and one hash has it (Ed25519 has not)", 0 },
    [FINDING_PROXY_ENDS_TLS] = {
        "proxy.ends-tls", INFO,
        "the server sees another TLS than the client does: a proxy ends it between them",
        "what is verified here is the proxy", 0,
        "make sure that its own way to the server is verified" },

    [FINDING_PASSWORD_WITHHELD] = {
        "login.password-withheld", ERROR,
        "the server asks for a password, and it was not sent over an unverified connection",
        "use sslmode=verify-full; --send-password-unverified sends it all the same", 0, 0 },
    [FINDING_PASSWORD_MISSING] = {
        "login.password-missing", ERROR, "the server asks for a password, and there is none",
        "put it into ~/.pgpass or PGPASSWORD, or give -W", 0, 0 },
    [FINDING_PASSWORD_WRONG] = {
        "login.password-wrong", ERROR, "the password is wrong, or the user has none",
        "is it this server's, and this user's?",
        "alter role ... password; its log says which of both it is", 0 },
    [FINDING_PASSWORD_CLEARTEXT] = {
        "login.cleartext-password", WARNING, "the server wants the password as it is",
        "the server, or a proxy that ends TLS, learns it",
        "use scram-sha-256 in place of password in pg_hba.conf", 0 },
    [FINDING_PASSWORD_MD5] = {
        "login.md5", WARNING, "the server wants an MD5 of the password", 0,
        "set password_encryption = scram-sha-256, set the passwords anew, and write "
        "scram-sha-256 in place of md5 in pg_hba.conf", 0 },
    [FINDING_USER_UNKNOWN] = {
        "login.user-unknown", ERROR, "the server does not know the user",
        "is the user spelt right?", "create role ... login", 0 },
    [FINDING_DATABASE_UNKNOWN] = {
        "login.database-unknown", ERROR, "the server does not know the database",
        "is the database spelt right? Without one, libpq takes the user's name",
        "create database", 0 },
    [FINDING_DATABASE_FORBIDDEN] = {
        "login.database-forbidden", ERROR, "the user may not use the database", 0,
        "grant connect on database ... to ...", 0 },
    [FINDING_NO_HBA_ENTRY] = {
        "login.no-hba-entry", ERROR,
        "pg_hba.conf has no line that lets this user in from here, or one that rejects",
        "the line may be for another database, user, address or kind of encryption",
        "add a line and reload",
        "the server sees the proxy's address, not the client's" },
    [FINDING_TOO_MANY_CONNECTIONS] = {
        "login.too-many-connections", ERROR, "the server has no free connection",
        "close those that are idle, or use a pool",
        "raise max_connections, or the role's connection limit",
        "raise max_connections of its limits" },
    [FINDING_STARTING_UP] = {
        "login.starting-up", ERROR, "the server is starting up or in recovery",
        "try again in a moment", "its log tells how far the recovery is", 0 },
    [FINDING_SHUTTING_DOWN] = {
        "login.shutting-down", ERROR, "the server is shutting down",
        "try again once it is back", 0, 0 },
    [FINDING_METHOD_UNSUPPORTED] = {
        "login.method-unsupported", ERROR,
        "the server asks for a method of logging in that a check does not know",
        "the application's own library may know it (GSSAPI, SSPI, OAuth)",
        "scram-sha-256, md5, password, cert and trust are known", 0 },
    [FINDING_METHOD_FORBIDDEN] = {
        "login.method-forbidden", ERROR, "the server's method is not among require_auth",
        "add it to require_auth, if it is strong enough", "use scram-sha-256", 0 },
    [FINDING_SERVER_UNPROVEN] = {
        "login.server-unproven", ERROR,
        "the server did not prove that it knows the password: it may be another one",
        "do not connect; find out who answers there", 0, 0 },
    [FINDING_LOGIN_REFUSED] = {
        "login.refused", ERROR, "the server refuses the login", "the server's text tells why",
        "its log has more", 0 },
    [FINDING_LOGIN_CUT] = {
        "login.cut", ERROR, "the connection is lost during the login", 0,
        "its log has the reason", "its log has the reason" },
    [FINDING_LOGIN_TIMEOUT] = {
        "login.timeout", ERROR, "the login does not come to an end", 0,
        "is it overloaded, or does a hook wait (LDAP, PAM, RADIUS)?",
        "does it reach its backend?" },
    [FINDING_PROTOCOL_BROKEN] = {
        "login.protocol-broken", ERROR, "what the server says is not the protocol",
        "is it PostgreSQL (or Redis) at all?", 0, 0 },
    [FINDING_PROTOCOL_OLDER] = {
        "login.protocol-older", INFO, "the server speaks an older minor version of the protocol",
        0, 0, 0 },

    [FINDING_REDIS_PASSWORD_NEEDLESS] = {
        "redis.password-needless", WARNING, "Redis asks for no password, and one was given",
        "leave it out", "set requirepass, or an ACL with passwords", 0 },
    [FINDING_REDIS_PROTECTED] = {
        "redis.protected-mode", ERROR, "Redis is in protected mode: it serves loopback alone",
        0, "set a password and bind, or protected-mode no", 0 },
    [FINDING_REDIS_LOADING] = {
        "redis.loading", ERROR, "Redis is loading its data", "try again in a moment", 0, 0 },
    [FINDING_REDIS_FORBIDDEN] = {
        "redis.forbidden", ERROR, "the user may not run PING", 0,
        "ACL SETUSER ... +ping", 0 },
};
/* clang-format on */

const struct finding_row *finding_row(enum finding finding)
{
    return &rows[finding];
}

const char *severity_name(enum severity severity)
{
    static const char *const names[] = { "info", "warning", "error" };

    return names[severity];
}
