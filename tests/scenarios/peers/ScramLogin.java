// SPDX-License-Identifier: PostgreSQL
// pgjdbc logs in with SCRAM: PORT ROOTCERT (or "") [CHANNELBINDING].
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.util.Properties;

class ScramLogin {
    public static void main(String[] words) {
        Properties wanted = new Properties();
        wanted.setProperty("user", "scram");
        wanted.setProperty("password", "open sesame");
        wanted.setProperty("loginTimeout", "20");
        wanted.setProperty("sslmode", words[1].isEmpty() ? "disable" : "verify-full");
        if (!words[1].isEmpty())
            wanted.setProperty("sslrootcert", words[1]);
        if (words.length > 2)
            wanted.setProperty("channelBinding", words[2]);
        String url = "jdbc:postgresql://localhost:" + words[0] + "/postgres";
        try (Connection session = DriverManager.getConnection(url, wanted);
                ResultSet rows = session.createStatement().executeQuery("select current_user")) {
            rows.next();
            System.out.println(rows.getString(1));
        } catch (Exception error) {
            System.out.println(error.getMessage());
        }
    }
}
