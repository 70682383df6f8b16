// SPDX-License-Identifier: PostgreSQL
// The client that is pgjdbc.  A case a line, its outcome a line: see run.py.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;
import javax.net.ssl.SSLSocket;
import org.postgresql.core.PGStream;
import org.postgresql.core.QueryExecutorBase;
import org.postgresql.jdbc.PgConnection;

class Pgjdbc {
    static final String SQL = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

    public static void main(String[] words) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(outcome(line.split("\t", -1)));
            System.out.flush();
        }
    }

    static String outcome(String[] fields) {
        String url = "jdbc:postgresql://localhost:" + fields[0] + "/" + fields[1];
        try (Connection session = DriverManager.getConnection(url, properties(fields))) {
            return "session\t" + leg(isTls(session)) + "/" + leg(isBackendTls(session));
        } catch (Exception error) {
            StringBuilder text = new StringBuilder();
            tell(text, error);
            return "error\t" + text.toString().replace('\n', '|').replace('\t', ' ');
        }
    }

    static Properties properties(String[] fields) {
        Properties wanted = new Properties();
        wanted.setProperty("user", "alice");
        wanted.setProperty("sslmode", fields[2]);
        wanted.setProperty("loginTimeout", "20");
        put(wanted, "sslrootcert", fields[3]);
        put(wanted, "sslcert", fields[4]);
        put(wanted, "sslkey", fields[5]);
        return wanted;
    }

    static void put(Properties wanted, String name, String value) {
        if (!value.isEmpty())
            wanted.setProperty(name, value);
    }

    static String leg(boolean tls) {
        return tls ? "tls" : "clear";
    }

    static boolean isBackendTls(Connection session) throws SQLException {
        try (ResultSet rows = session.createStatement().executeQuery(SQL)) {
            rows.next();
            return rows.getBoolean(1);
        }
    }

    // The driver has no accessor for it.
    static boolean isTls(Connection session) throws Exception {
        Field stream = QueryExecutorBase.class.getDeclaredField("pgStream");
        stream.setAccessible(true);
        Object executor = session.unwrap(PgConnection.class).getQueryExecutor();
        return ((PGStream) stream.get(executor)).getSocket() instanceof SSLSocket;
    }

    // The first attempt's error, what caused it, then the second attempt's.
    static void tell(StringBuilder text, Throwable error) {
        if (error instanceof SQLException)
            text.append("[").append(((SQLException) error).getSQLState()).append("] ");
        text.append(error.getMessage()).append(" | ");
        if (error.getCause() != null)
            tell(text, error.getCause());
        for (Throwable other : error.getSuppressed())
            tell(text, other);
    }
}
