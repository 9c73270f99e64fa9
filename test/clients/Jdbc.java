/*
 * JDBC: batches, generated keys, statements that the driver prepares on the server after some executions, cursors with a
 * fetch size, updatable result sets, savepoints, COPY, notifications.
 *
 * packages: default-jdk-headless libpostgresql-jdbc-java
 * jars: postgresql.jar
 */
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Jdbc {
    private static Connection connection;

    interface Action {
        Object run() throws Exception;
    }

    static void show(String label, Object value) {
        System.out.printf("%-52s %s%n", label, value);
    }

    /** Does what may fail; shows the error as an application tells it from others. */
    static void attempt(String label, Action action) throws SQLException {
        try {
            show(label, action.run());
        } catch (BatchUpdateException error) {
            show(label, "batch " + Arrays.toString(error.getUpdateCounts()) + " " + describe(error.getNextException()));
        } catch (SQLException error) {
            show(label, describe(error));
        } catch (Exception error) {
            show(label, error);
        }
        if (!connection.getAutoCommit()) {
            connection.rollback();
        }
    }

    static String describe(SQLException error) {
        ServerErrorMessage server = error instanceof PSQLException ? ((PSQLException) error).getServerErrorMessage() : null;
        return error.getSQLState() + " " + (server == null ? error.getMessage() : server.getConstraint() + " " + server.getTable());
    }

    /** All rows of a query, each as text. */
    static List<String> rows(ResultSet result) throws SQLException {
        List<String> all = new ArrayList<>();
        while (result.next()) {
            List<String> row = new ArrayList<>();
            for (int n = 1; n <= result.getMetaData().getColumnCount(); n++) {
                row.add(result.getString(n));
            }
            all.add(String.join(" ", row.stream().map(String::valueOf).toArray(String[]::new)));
        }
        result.close();
        return all;
    }

    static List<String> query(String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return rows(statement.executeQuery(sql));
        }
    }

    static int update(String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return statement.executeUpdate(sql);
        }
    }

    static void makeSchema() throws SQLException {
        update("CREATE TABLE client (id serial PRIMARY KEY, code varchar(20) NOT NULL CONSTRAINT one_code UNIQUE, name text, version int NOT NULL DEFAULT 0)");
        update("CREATE TABLE invoice (id bigserial PRIMARY KEY, client_id int NOT NULL CONSTRAINT invoice_of_client REFERENCES client, number int NOT NULL, "
            + "total numeric(10, 2), CONSTRAINT one_number UNIQUE (client_id, number) DEFERRABLE INITIALLY IMMEDIATE)");
        update("CREATE TABLE line (invoice_id bigint REFERENCES invoice ON DELETE CASCADE, position int, text text, PRIMARY KEY (invoice_id, position))");
    }

    static void batches() throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO client (code, name) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int n = 1; n <= 12; n++) {
                insert.setString(1, "c" + n);
                insert.setString(2, "Client " + n);
                insert.addBatch();
            }
            show("batch", Arrays.toString(insert.executeBatch()));
            // all columns of the table come back: the first is the key
            List<Integer> keys = new ArrayList<>();
            for (ResultSet result = insert.getGeneratedKeys(); result.next();) {
                keys.add(result.getInt("id"));
            }
            show("generated keys", keys);
        }
        connection.commit();
        try (PreparedStatement delete = connection.prepareStatement("DELETE FROM client WHERE id = ?")) {
            for (int id : new int[] {1, 2, 2, 99, 3}) {
                delete.setInt(1, id);
                delete.addBatch();
            }
            show("batch of deletes", Arrays.toString(delete.executeBatch()));
        }
        connection.rollback();
        try (Statement mixed = connection.createStatement()) {
            mixed.addBatch("DELETE FROM client WHERE code = 'c1'");
            mixed.addBatch("INSERT INTO client (id, code) VALUES (1, 'c1')");
            mixed.addBatch("UPDATE client SET name = 'again' WHERE id = 1");
            mixed.addBatch("DELETE FROM client WHERE code IN ('c2', 'c3')");
            show("mixed", Arrays.toString(mixed.executeBatch()));
        }
        connection.commit();
        show("clients", query("SELECT id, code, name FROM client WHERE id < 5 ORDER BY id"));
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO client (code) VALUES (?)")) {
            for (String code : new String[] {"c2", "c3", "c4", "c2"}) {
                insert.setString(1, code);
                insert.addBatch();
            }
            attempt("a code is taken", () -> Arrays.toString(insert.executeBatch()));
        }
        show("count", query("SELECT count(*) FROM client"));
        connection.commit();
    }

    static void generatedKeys() throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO invoice (client_id, number, total) VALUES (?, ?, ?)", new String[] {"id"})) {
            for (int n = 0; n < 9; n++) {
                insert.setInt(1, 4 + n % 3);
                insert.setInt(2, n / 3);
                insert.setBigDecimal(3, new java.math.BigDecimal(n));
                insert.executeUpdate();
                long id;
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    keys.next();
                    id = keys.getLong(1);
                }
                for (int position = 1; position <= 3; position++) {
                    update("INSERT INTO line VALUES (" + id + ", " + position + ", 'text " + position + "')");
                }
            }
        }
        try (PreparedStatement delete = connection.prepareStatement("DELETE FROM invoice WHERE client_id = ?", new String[] {"number", "total"})) {
            delete.setInt(1, 4);
            show("deleted", delete.executeUpdate());
            show("their keys", rows(delete.getGeneratedKeys()));
        }
        show("lines", query("SELECT count(*) FROM line"));
        connection.commit();
        attempt("a client with invoices", () -> update("DELETE FROM client WHERE id = 5"));
        attempt("number taken", () -> update("INSERT INTO invoice (client_id, number) VALUES (5, 0)"));
        attempt("client is deleted", () -> update("INSERT INTO invoice (client_id, number) VALUES (2, 0)"));
        show("free again", update("INSERT INTO invoice (client_id, number) VALUES (4, 0)"));
        connection.commit();
    }

    static void serverPrepared() throws SQLException {
        connection.setAutoCommit(true);
        String[] names = {"INSERT INTO client (code, name) VALUES (?, 'x')", "SELECT id, name FROM client WHERE code = ?", "DELETE FROM client WHERE code = ?",
            "INSERT INTO client (code, version) VALUES (?, 0) ON CONFLICT (code) DO UPDATE SET version = client.version + 1 RETURNING version",
            "INSERT INTO client (code, version) VALUES (?, 0) ON CONFLICT ON CONSTRAINT one_code DO UPDATE SET version = client.version + 10 RETURNING version"};
        PreparedStatement[] statements = new PreparedStatement[names.length];
        for (int n = 0; n < names.length; n++) {
            statements[n] = connection.prepareStatement(names[n]);
            statements[n].setString(1, "prepared");
        }
        List<String> answers = new ArrayList<>();
        for (int round = 0; round < 12; round++) {
            int made = statements[0].executeUpdate();
            int before = rows(statements[1].executeQuery()).size();
            int gone = statements[2].executeUpdate();
            int after = rows(statements[1].executeQuery()).size();
            String first = rows(statements[3].executeQuery()).get(0);
            String second = rows(statements[4].executeQuery()).get(0);
            int goneAgain = statements[2].executeUpdate();
            answers.add("" + made + before + gone + after + "-" + first + "-" + second + "-" + goneAgain);
        }
        show("twelve rounds", answers.stream().distinct().toArray().length + " " + answers.get(11));
        show("prepared on the server", query("SELECT count(*) > 3 FROM pg_prepared_statements"));
        update("ALTER TABLE client ADD COLUMN city text");
        show("after ALTER TABLE", rows(statements[1].executeQuery()).size());
        for (PreparedStatement statement : statements) {
            statement.close();
        }
    }

    static void cursors() throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement select = connection.prepareStatement("SELECT id FROM client ORDER BY id")) {
            select.setFetchSize(3);
            List<Integer> seen = new ArrayList<>();
            ResultSet result = select.executeQuery();
            while (result.next()) {
                seen.add(result.getInt(1));
                if (result.getInt(1) == 7) {
                    show("deleted under it", update("DELETE FROM client WHERE id IN (8, 11)"));
                }
            }
            show("seen", seen);
            seen.clear();
            for (result = select.executeQuery(); result.next();) {
                seen.add(result.getInt(1));
            }
            show("seen again", seen);
        }
        connection.commit();
    }

    static void updatableResultSets() throws SQLException {
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet result = statement.executeQuery("SELECT id, code, name FROM client ORDER BY id");
            result.absolute(2);
            result.updateString("name", "by result set");
            result.updateRow();
            attempt("deleteRow() of a client with invoices", () -> {
                result.deleteRow();
                return "deleted";
            });
        }
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet result = statement.executeQuery("SELECT id, code, name FROM client WHERE id > 6 ORDER BY id");
            result.next();
            int id = result.getInt("id");
            String code = result.getString("code");
            result.deleteRow();
            result.moveToInsertRow();
            result.updateInt("id", id);
            result.updateString("code", code);
            result.updateString("name", "anew");
            result.insertRow();
            result.moveToCurrentRow();
            result.last();
            update("DELETE FROM client WHERE id = " + result.getInt("id"));
            result.updateString("name", "gone");
            attempt("updateRow() of what is deleted", () -> {
                result.updateRow();
                return "no error";
            });
        }
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet result = statement.executeQuery("SELECT invoice_id, position, text FROM line ORDER BY 1, 2");
            while (result.next()) {
                if (result.getInt(2) == 2) {
                    result.deleteRow();
                } else if (result.getInt(2) == 3) {
                    result.updateInt("position", 2);
                    result.updateRow();
                }
            }
        }
        connection.commit();
        show("lines", query("SELECT * FROM (SELECT invoice_id, position, text FROM line) l ORDER BY 1, 2"));
        connection.commit();
    }

    static void optimisticLocking() throws SQLException {
        try (PreparedStatement locked = connection.prepareStatement("UPDATE client SET name = ?, version = version + 1 WHERE id = ? AND version = ?")) {
            for (int version : new int[] {0, 0, 1}) {
                locked.setString(1, "version " + version);
                locked.setInt(2, 9);
                locked.setInt(3, version);
                show("updated from version " + version, locked.executeUpdate());
            }
            show("deleted of an old version", update("DELETE FROM client WHERE id = 9 AND version = 1"));
            show("deleted", update("DELETE FROM client WHERE id = 9 AND version = 2"));
            show("updated what is gone", locked.executeUpdate());
        }
        connection.commit();
    }

    static void savepoints() throws SQLException {
        show("deleted", update("DELETE FROM invoice WHERE client_id = 5"));
        Savepoint savepoint = connection.setSavepoint("s");
        show("deleted", update("DELETE FROM client WHERE id = 5"));
        try {
            update("INSERT INTO client (id, code) VALUES (5, 'c6')");
        } catch (SQLException error) {
            show("taken", describe(error));
        }
        connection.rollback(savepoint);
        show("still there", query("SELECT code FROM client WHERE id = 5"));
        show("swap", update("SET CONSTRAINTS one_number DEFERRED"));
        show("swap", update("UPDATE invoice SET number = 1 - number WHERE client_id = 6 AND number < 2"));
        connection.commit();
        show("numbers", query("SELECT id, number FROM invoice WHERE client_id = 6 ORDER BY id"));
        update("SET CONSTRAINTS ALL DEFERRED");
        show("double", update("INSERT INTO invoice (client_id, number) VALUES (6, 1)"));
        show("the first goes", update("DELETE FROM invoice WHERE client_id = 6 AND number = 1 AND total IS NOT NULL"));
        connection.commit();
        update("SET CONSTRAINTS ALL DEFERRED");
        show("double", update("INSERT INTO invoice (client_id, number) VALUES (6, 1)"));
        attempt("at commit", () -> {
            connection.commit();
            return "committed";
        });
    }

    static void copyAndNotify() throws Exception {
        PGConnection postgres = connection.unwrap(PGConnection.class);
        show("copied", postgres.getCopyAPI().copyIn("COPY client (id, code) FROM STDIN", new StringReader("8\tc8\n11\tc11\n")));
        attempt("a code is taken", () -> postgres.getCopyAPI().copyIn("COPY client (code) FROM STDIN", new StringReader("c2\nc11\n")));
        StringWriter out = new StringWriter();
        show("copied", postgres.getCopyAPI().copyIn("COPY client (id, code) FROM STDIN", new StringReader("8\tc8\n11\tc11\n")));
        show("copied", postgres.getCopyAPI().copyOut("COPY client (id, code) TO STDOUT", out));
        show("of them", Arrays.stream(out.toString().split("\n")).filter(row -> row.endsWith("1")).sorted().toArray().length);
        out = new StringWriter();
        postgres.getCopyAPI().copyOut("COPY line TO STDOUT", out);
        show("columns", out.toString().split("\n")[0].split("\t").length);
        update("LISTEN gone");
        query("WITH gone AS (DELETE FROM client WHERE id = 11 RETURNING code) SELECT pg_notify('gone', code) FROM gone");
        connection.commit();
        show("notified", Arrays.stream(postgres.getNotifications(5000)).map(each -> each.getParameter()).toArray()[0]);
    }

    static void metadata() throws SQLException {
        show("primary keys", keys(connection.getMetaData().getPrimaryKeys(null, "public", "line"), "COLUMN_NAME"));
        show("imported keys", keys(connection.getMetaData().getImportedKeys(null, "public", "invoice"), "FK_NAME"));
        show("exported keys", keys(connection.getMetaData().getExportedKeys(null, "public", "client"), "FK_NAME"));
        show("unique", keys(connection.getMetaData().getIndexInfo(null, "public", "client", true, false), "INDEX_NAME"));
        show("generated", keys(connection.getMetaData().getColumns(null, "public", "client", "id"), "IS_AUTOINCREMENT"));
    }

    static List<String> keys(ResultSet result, String column) throws SQLException {
        List<String> names = new ArrayList<>();
        while (result.next()) {
            names.add(result.getString(column));
        }
        names.sort(null);
        return names;
    }

    public static void main(String[] arguments) throws Exception {
        connection = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"),
            System.getenv("PGUSER"), "");
        makeSchema();
        batches();
        generatedKeys();
        serverPrepared();
        cursors();
        updatableResultSets();
        optimisticLocking();
        savepoints();
        copyAndNotify();
        metadata();
        connection.close();
    }
}
