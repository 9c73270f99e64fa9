/*
 * Hibernate: schema by hbm2ddl, unit of work in batches, cascades by Hibernate and by the database, join tables, collections of
 * elements, joined inheritance, optimistic and pessimistic locking, merge and replicate, HQL in bulk, native upserts.
 *
 * packages: default-jdk-headless libpostgresql-jdbc-java libhibernate3-java libjavassist-java
 * jars: hibernate3.jar hibernate-commons-annotations.jar geronimo-jpa_2.0_spec.jar geronimo-jta-1.2-spec.jar dom4j.jar javassist.jar
 * jars: commons-collections3.jar antlr.jar slf4j-api.jar slf4j-nop.jar postgresql.jar
 * options: --add-opens java.base/java.lang=ALL-UNNAMED
 */
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import javax.persistence.CascadeType;
import javax.persistence.CollectionTable;
import javax.persistence.Column;
import javax.persistence.ElementCollection;
import javax.persistence.Entity;
import javax.persistence.FetchType;
import javax.persistence.GeneratedValue;
import javax.persistence.GenerationType;
import javax.persistence.Id;
import javax.persistence.Inheritance;
import javax.persistence.InheritanceType;
import javax.persistence.JoinColumn;
import javax.persistence.JoinTable;
import javax.persistence.ManyToMany;
import javax.persistence.ManyToOne;
import javax.persistence.OneToMany;
import javax.persistence.OneToOne;
import javax.persistence.OrderBy;
import javax.persistence.OrderColumn;
import javax.persistence.SequenceGenerator;
import javax.persistence.Table;
import javax.persistence.UniqueConstraint;
import javax.persistence.Version;
import org.hibernate.JDBCException;
import org.hibernate.LockOptions;
import org.hibernate.ReplicationMode;
import org.hibernate.ScrollableResults;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.StaleObjectStateException;
import org.hibernate.StatelessSession;
import org.hibernate.Transaction;
import org.hibernate.annotations.Check;
import org.hibernate.annotations.ForeignKey;
import org.hibernate.annotations.NaturalId;
import org.hibernate.annotations.OnDelete;
import org.hibernate.annotations.OnDeleteAction;
import org.hibernate.cfg.Configuration;
import org.hibernate.criterion.Projections;
import org.hibernate.criterion.Restrictions;
import org.hibernate.exception.ConstraintViolationException;
import org.hibernate.tool.hbm2ddl.SchemaExport;
import org.hibernate.tool.hbm2ddl.SchemaUpdate;
import org.hibernate.tool.hbm2ddl.SchemaValidator;

@Entity
class Publisher {
    @Id @GeneratedValue(strategy = GenerationType.SEQUENCE, generator = "publisher_ids")
    @SequenceGenerator(name = "publisher_ids", sequenceName = "publisher_ids", allocationSize = 1)
    Long id;
    @NaturalId(mutable = true) @Column(length = 20, nullable = false)
    String code;
    String name;
    @Version
    int version;
    @OneToMany(mappedBy = "publisher", cascade = CascadeType.ALL, orphanRemoval = true) @OrderBy("id")
    List<Book> books = new ArrayList<>();

    Publisher() {}

    Publisher(String code) {
        this.code = code;
        this.name = "House " + code;
    }

    Book add(String title) {
        Book book = new Book(this, title);
        books.add(book);
        return book;
    }
}

@Entity @Table(uniqueConstraints = @UniqueConstraint(columnNames = {"publisher_id", "title"})) @Check(constraints = "title <> ''")
class Book {
    @Id @GeneratedValue(strategy = GenerationType.SEQUENCE, generator = "book_ids")
    @SequenceGenerator(name = "book_ids", sequenceName = "book_ids", allocationSize = 1)
    Long id;
    @ManyToOne(fetch = FetchType.LAZY, optional = false) @ForeignKey(name = "book_of_publisher")
    Publisher publisher;
    @Column(nullable = false, length = 40)
    String title;
    @Version
    int version;
    @ManyToMany @OrderBy("name") @ForeignKey(name = "link_of_book", inverseName = "link_of_subject")
    @JoinTable(name = "book_subject", joinColumns = @JoinColumn(name = "book_id"), inverseJoinColumns = @JoinColumn(name = "subject_name"))
    Set<Subject> subjects = new TreeSet<>();
    @OneToMany(mappedBy = "book", cascade = CascadeType.ALL) @OnDelete(action = OnDeleteAction.CASCADE) @OrderBy("barcode")
    List<Copy> copies = new ArrayList<>();
    @ElementCollection @CollectionTable(name = "chapter", joinColumns = @JoinColumn(name = "book_id"))
    @OrderColumn(name = "position") @Column(name = "heading") @ForeignKey(name = "chapter_of_book")
    List<String> chapters = new ArrayList<>();
    @ElementCollection @CollectionTable(name = "keyword", joinColumns = @JoinColumn(name = "book_id"))
    @Column(name = "word", nullable = false) @ForeignKey(name = "keyword_of_book")
    Set<String> keywords = new TreeSet<>();

    Book() {}

    Book(Publisher publisher, String title) {
        this.publisher = publisher;
        this.title = title;
    }

    Book with(Subject... some) {
        subjects.addAll(Arrays.asList(some));
        return this;
    }

    String getTitle() {
        return title;
    }
}

@Entity
class Subject implements Comparable<Subject> {
    @Id @Column(length = 20)
    String name;
    @ManyToMany(mappedBy = "subjects") @OrderBy("id")
    List<Book> books = new ArrayList<>();

    Subject() {}

    Subject(String name) {
        this.name = name;
    }

    String getName() {
        return name;
    }

    @Override
    public int compareTo(Subject other) {
        return getName().compareTo(other.getName());
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Subject && getName().equals(((Subject) other).getName());
    }

    @Override
    public int hashCode() {
        return getName().hashCode();
    }
}

@Entity @Table(uniqueConstraints = @UniqueConstraint(columnNames = {"book_id", "barcode"}))
class Copy {
    @Id @GeneratedValue(strategy = GenerationType.IDENTITY)
    Long id;
    @ManyToOne(fetch = FetchType.LAZY, optional = false) @ForeignKey(name = "copy_of_book")
    Book book;
    @Column(nullable = false)
    int barcode;

    Copy() {}

    Copy(Book book, int barcode) {
        this.book = book;
        this.barcode = barcode;
    }
}

@Entity @Inheritance(strategy = InheritanceType.JOINED)
class Reader {
    @Id
    Integer id;
    @Column(nullable = false, unique = true, length = 40)
    String email;

    Reader() {}

    Reader(int id, String email) {
        this.id = id;
        this.email = email;
    }
}

@Entity @ForeignKey(name = "student_is_reader")
class Student extends Reader {
    @Column(unique = true, length = 20)
    String card;

    Student() {}

    Student(int id, String email, String card) {
        super(id, email);
        this.card = card;
    }
}

@Entity
class Loan {
    @Id @GeneratedValue(strategy = GenerationType.SEQUENCE, generator = "loan_ids")
    @SequenceGenerator(name = "loan_ids", sequenceName = "loan_ids", allocationSize = 1)
    Long id;
    @OneToOne(optional = false, fetch = FetchType.LAZY) @JoinColumn(unique = true) @ForeignKey(name = "loan_of_copy")
    Copy copy;
    @ManyToOne(optional = false, fetch = FetchType.LAZY) @ForeignKey(name = "loan_to_reader")
    Reader reader;

    Loan() {}

    Loan(Copy copy, Reader reader) {
        this.copy = copy;
        this.reader = reader;
    }
}

/** What a later release of the application adds. */
@Entity
class Reservation {
    @Id @GeneratedValue(strategy = GenerationType.IDENTITY)
    Long id;
    @ManyToOne(optional = false) @ForeignKey(name = "reservation_of_book") @OnDelete(action = OnDeleteAction.CASCADE)
    Book book;
    @Column(unique = true)
    Integer place;

    Reservation() {}

    Reservation(Book book, int place) {
        this.book = book;
        this.place = place;
    }
}

public class Hibernate {
    private static final Class<?>[] MAPPED = {Publisher.class, Book.class, Subject.class, Copy.class, Reader.class, Student.class, Loan.class};
    private static final String[] TABLES = {"publisher", "book", "subject", "book_subject", "chapter", "keyword", "copy", "reader", "student", "loan"};
    private static SessionFactory factory;

    interface Work {
        Object run(Session session) throws Exception;
    }

    static void show(String label, Object value) {
        System.out.printf("%-52s %s%n", label, value);
    }

    /** Does the work in a session and a transaction of its own. */
    static Object transaction(Work work) throws Exception {
        Session session = factory.openSession();
        Transaction transaction = session.beginTransaction();
        try {
            Object answer = work.run(session);
            transaction.commit();
            return answer;
        } catch (Exception error) {
            transaction.rollback();
            throw error;
        } finally {
            session.close();
        }
    }

    /** Does what may fail; shows the error as an application tells it from others. */
    static void attempt(String label, Work work) {
        try {
            show(label, transaction(work));
        } catch (ConstraintViolationException error) {
            show(label, "ConstraintViolation " + error.getSQLState() + " " + error.getConstraintName());
        } catch (JDBCException error) {
            show(label, error.getClass().getSimpleName() + " " + error.getSQLState() + " " + error.getSQLException().getMessage());
        } catch (StaleObjectStateException error) {
            show(label, "StaleObjectState " + error.getEntityName() + " " + error.getIdentifier());
        } catch (Exception error) {
            show(label, error.getClass().getSimpleName() + ": " + error.getMessage());
        }
    }

    static Configuration configuration(Class<?>... more) {
        Configuration configuration = new Configuration()
            .setProperty("hibernate.connection.driver_class", "org.postgresql.Driver")
            .setProperty("hibernate.connection.url", "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"))
            .setProperty("hibernate.connection.username", System.getenv("PGUSER"))
            .setProperty("hibernate.connection.password", "")
            .setProperty("hibernate.dialect", "org.hibernate.dialect.PostgreSQLDialect")
            .setProperty("hibernate.jdbc.batch_size", "10")
            .setProperty("hibernate.order_inserts", "true");
        for (Class<?> mapped : MAPPED) {
            configuration.addAnnotatedClass(mapped);
        }
        for (Class<?> mapped : more) {
            configuration.addAnnotatedClass(mapped);
        }
        return configuration;
    }

    static Publisher publisher(Session session, String code) {
        return (Publisher) session.createCriteria(Publisher.class).add(Restrictions.naturalId().set("code", code)).uniqueResult();
    }

    static Book book(Session session, String title) {
        return (Book) session.createQuery("from Book where title = :title").setString("title", title).uniqueResult();
    }

    static List<String> titles(Collection<Book> books) {
        return books.stream().map(Book::getTitle).collect(Collectors.toList());
    }

    static List<String> names(Collection<Subject> subjects) {
        return subjects.stream().map(Subject::getName).sorted().collect(Collectors.toList());
    }

    static int update(Session session, String sql) {
        return session.createSQLQuery(sql).executeUpdate();
    }

    static int change(Session session, String hql) {
        return session.createQuery(hql).executeUpdate();
    }

    /** All rows of a query in HQL or SQL, each as text. */
    static String rows(org.hibernate.Query query) {
        List<String> all = new ArrayList<>();
        for (Object row : query.list()) {
            all.add(row instanceof Object[] ? Arrays.toString((Object[]) row) : String.valueOf(row));
        }
        return all.toString();
    }

    static String census(Session session) {
        List<String> all = new ArrayList<>();
        for (String table : TABLES) {
            all.add(table + " " + session.createSQLQuery("select count(*) from " + table).uniqueResult());
        }
        return String.join(", ", all);
    }

    static void schema() throws Exception {
        factory = configuration().setProperty("hibernate.hbm2ddl.auto", "create").buildSessionFactory();
        fill();
        attempt("deleted", session -> update(session, "delete from copy") + change(session, "delete Student"));
        SchemaExport anew = new SchemaExport(configuration());
        anew.create(false, true);
        show("dropped and made anew", anew.getExceptions());
        SchemaUpdate again = new SchemaUpdate(configuration());
        again.execute(false, true);
        show("hbm2ddl again", again.getExceptions());
        new SchemaValidator(configuration()).validate();
        attempt("unique", session -> rows(session.createSQLQuery("select cast(cast(indrelid as regclass) as text), count(*) from pg_index "
            + "where indisunique and not indisprimary and indrelid in (select oid from pg_class where relnamespace = cast('public' as regnamespace)) "
            + "group by 1 order by 1")));
        attempt("foreign keys", session -> rows(session.createSQLQuery("select cast(conname as text), cast(confdeltype as text) from pg_constraint "
            + "where contype = 'f' order by conname")));
    }

    static void fill() throws Exception {
        transaction(session -> {
            Subject[] subjects = {new Subject("art"), new Subject("law"), new Subject("war")};
            for (Subject subject : subjects) {
                session.save(subject);
            }
            for (String code : new String[] {"ace", "bee", "cat", "dog"}) {
                Publisher publisher = new Publisher(code);
                for (int n = 0; n < 4; n++) {
                    Book book = publisher.add(code + " " + n).with(subjects[n % 3], subjects[2]);
                    book.chapters.addAll(Arrays.asList("one", "two", "three", "four"));
                    book.keywords.addAll(Arrays.asList("k" + n, "long"));
                    for (int barcode = 1; barcode <= 2; barcode++) {
                        book.copies.add(new Copy(book, barcode));
                    }
                }
                session.save(publisher);
            }
            session.save(new Reader(1, "one@example.com"));
            session.save(new Student(2, "two@example.com", "S2"));
            session.save(new Student(3, "three@example.com", "S3"));
            return null;
        });
        attempt("filled", Hibernate::census);
    }

    static void unitOfWork() throws Exception {
        attempt("a publisher is deleted, with books", session -> {
            session.delete(publisher(session, "bee"));
            return null;
        });
        attempt("left", Hibernate::census);
        attempt("the code again, with books", session -> session.save(filled("bee", 2)));
        attempt("left", session -> titles(publisher(session, "bee").books));
        attempt("orphans are deleted", session -> {
            Publisher publisher = publisher(session, "bee");
            publisher.books.remove(0);
            session.flush();
            publisher.add("bee 0");
            session.flush();
            return titles(publisher.books);
        });
        attempt("left", session -> titles(publisher(session, "bee").books));
        // inserts come before deletes in a flush: what is deleted still holds its title
        attempt("replaced in one flush", session -> {
            Publisher publisher = publisher(session, "bee");
            publisher.books.clear();
            publisher.add("bee 0");
            session.flush();
            return titles(publisher.books);
        });
        attempt("deleted and rolled back", session -> {
            session.delete(publisher(session, "bee"));
            session.flush();
            show("in between", publisher(session, "bee"));
            session.save(new Publisher("bee"));
            session.flush();
            throw new IllegalStateException("changed my mind");
        });
        attempt("still there", session -> titles(publisher(session, "bee").books));
        attempt("deleted and saved anew in one session", session -> {
            Publisher publisher = publisher(session, "bee");
            session.delete(publisher);
            session.flush();
            session.save(new Publisher("bee"));
            return publisher(session, "bee").books;
        });
        attempt("code changes hands", session -> {
            Publisher bee = publisher(session, "bee");
            bee.code = "eel";
            session.flush();
            session.save(new Publisher("bee"));
            session.flush();
            session.delete(publisher(session, "bee"));
            session.flush();
            bee.code = "bee";
            return bee.version;
        });
    }

    static Publisher filled(String code, int books) {
        Publisher publisher = new Publisher(code);
        for (int n = 0; n < books; n++) {
            publisher.add(code + " " + n);
        }
        return publisher;
    }

    static void manyToMany() throws Exception {
        for (String[] wanted : new String[][] {{"law", "war"}, {"art"}, {"art", "law", "war"}, {}, {"law"}}) {
            attempt("subjects " + Arrays.toString(wanted), session -> {
                Set<Subject> subjects = book(session, "ace 0").subjects;
                subjects.clear();
                for (String name : wanted) {
                    subjects.add((Subject) session.load(Subject.class, name));
                }
                session.flush();
                session.clear();
                return names(book(session, "ace 0").subjects);
            });
        }
        attempt("linked twice", session ->
            update(session, "insert into book_subject select book_id, subject_name from book_subject where subject_name = 'law'"));
        attempt("a subject in use", session -> {
            session.delete(session.get(Subject.class, "law"));
            return null;
        });
        attempt("unlinked, then deleted", session -> {
            Subject law = (Subject) session.get(Subject.class, "law");
            for (Book book : law.books) {
                book.subjects.remove(law);
            }
            int books = law.books.size();
            session.delete(law);
            return books;
        });
        attempt("subjects", session ->
            rows(session.createQuery("select s.name, count(b) from Subject s left join s.books b group by s.name order by s.name")));
        attempt("a link to a deleted subject", session -> update(session, "insert into book_subject values (1, 'law')"));
        attempt("load() of it", session -> ((Subject) session.load(Subject.class, "law")).getName());
        attempt("get() of it", session -> session.get(Subject.class, "law"));
        attempt("the subject again", session -> {
            Subject law = new Subject("law");
            session.save(law);
            book(session, "ace 0").subjects.add(law);
            session.flush();
            session.refresh(law);
            return titles(law.books);
        });
        attempt("member of", session -> rows(session.createQuery("select b.title from Book b where :law member of b.subjects order by b.title")
            .setEntity("law", session.load(Subject.class, "law"))));
        attempt("size()", session -> rows(session.createQuery("select b.title from Book b where size(b.subjects) <> 2 order by b.title")));
    }

    static void elements() throws Exception {
        attempt("chapters shift", session -> {
            book(session, "cat 0").chapters.remove(1);
            session.flush();
            session.clear();
            return book(session, "cat 0").chapters.toString();
        });
        attempt("and come back", session -> {
            book(session, "cat 0").chapters.add(0, "preface");
            session.flush();
            book(session, "cat 0").chapters.add("index");
            session.flush();
            session.clear();
            return book(session, "cat 0").chapters.toString();
        });
        attempt("all at once", session -> {
            Book book = book(session, "cat 0");
            book.chapters = new ArrayList<>(Arrays.asList("alpha", "beta"));
            book.keywords = new TreeSet<>(Arrays.asList("long", "short"));
            session.flush();
            session.clear();
            return book(session, "cat 0").chapters + " " + new TreeSet<>(book(session, "cat 0").keywords);
        });
        attempt("as they stand", session -> rows(session.createSQLQuery("select position, heading from chapter natural join "
            + "(select id as book_id from book where title = 'cat 0') b order by 1")));
        attempt("keyword there and back", session -> {
            Set<String> keywords = book(session, "cat 0").keywords;
            keywords.remove("long");
            session.flush();
            keywords.add("long");
            session.flush();
            return new TreeSet<>(keywords);
        });
        attempt("chapter taken", session ->
            update(session, "insert into chapter (book_id, position, heading) select id, 1, 'x' from book where title = 'cat 0'"));
        attempt("chapter free", session ->
            update(session, "insert into chapter (book_id, position, heading) select id, 2, 'x' from book where title = 'cat 0'"));
        attempt("books by keywords", session -> rows(session.createQuery("select k, count(*) from Book b join b.keywords k group by k order by k")));
    }

    static void databaseCascades() throws Exception {
        attempt("lent", session -> {
            Copy copy = book(session, "cat 1").copies.get(0);
            return session.save(new Loan(copy, (Reader) session.load(Reader.class, 2)));
        });
        attempt("lent twice", session ->
            session.save(new Loan(book(session, "cat 1").copies.get(0), (Reader) session.load(Reader.class, 1))) != null);
        attempt("a book with a copy that is lent", session -> {
            Publisher publisher = publisher(session, "cat");
            publisher.books.removeIf(book -> book.title.equals("cat 1"));
            return null;
        });
        attempt("given back", session ->
            change(session, "delete Loan where copy.id in (select id from Copy where book.id in (select id from Book where title = 'cat 1'))"));
        attempt("copies before", session -> session.createQuery("select count(*) from Copy").uniqueResult());
        attempt("a book goes with its copies", session -> {
            publisher(session, "cat").books.removeIf(book -> book.title.equals("cat 1"));
            return null;
        });
        attempt("copies after", session -> session.createQuery("select count(*) from Copy").uniqueResult());
        attempt("the title again", session -> {
            Book book = publisher(session, "cat").add("cat 1");
            book.copies.add(new Copy(book, 1));
            session.flush();
            return book.copies.size();
        });
        attempt("copies of it", session -> rows(session.createQuery("select c.barcode from Copy c where c.book.title = 'cat 1'")));
    }

    static void staleObjects() throws Exception {
        attempt("update of an old version", session -> {
            Publisher publisher = publisher(session, "dog");
            transaction(other -> publisher(other, "dog").name = "Kennel");
            publisher.name = "Doghouse";
            return null;
        });
        attempt("deletion of an old version", session -> {
            Publisher publisher = publisher(session, "bee");
            transaction(other -> publisher(other, "bee").name = "Hive");
            session.delete(publisher);
            return null;
        });
        attempt("name", session -> publisher(session, "dog").name + " " + publisher(session, "dog").version);
        for (String what : new String[] {"update", "delete", "refresh", "lock", "saveOrUpdate", "merge"}) {
            attempt(what + " of what is deleted meanwhile", session -> {
                transaction(other -> other.save(filled("fox", 1)));
                Publisher publisher = publisher(session, "fox");
                publisher.books.size();
                transaction(other -> {
                    other.delete(publisher(other, "fox"));
                    return null;
                });
                return onDeleted(session, what, publisher);
            });
        }
        attempt("foxes", session ->
            rows(session.createQuery("select p.code, p.version, p.name from Publisher p where p.code like 'fox%' order by p.id")));
        attempt("unversioned, deleted twice", session -> {
            Loan loan = new Loan((Copy) session.createQuery("from Copy order by id").setMaxResults(1).uniqueResult(), (Reader) session.load(Reader.class, 1));
            transaction(other -> other.save(loan));
            Loan mine = (Loan) session.get(Loan.class, loan.id);
            transaction(other -> update(other, "delete from loan where id = " + loan.id));
            session.delete(mine);
            return null;
        });
        attempt("get() for update", session -> session.get(Publisher.class, -1L, LockOptions.UPGRADE));
        attempt("locked", session -> ((Publisher) session.get(Publisher.class, publisher(session, "dog").id, LockOptions.UPGRADE)).name);
    }

    static Object onDeleted(Session session, String what, Publisher publisher) {
        publisher.name = what;
        switch (what) {
            case "delete": session.delete(publisher); return null;
            case "refresh": session.refresh(publisher); return null;
            case "lock": session.buildLockRequest(LockOptions.UPGRADE).lock(publisher); return null;
            case "saveOrUpdate": session.clear(); session.saveOrUpdate(publisher); return null;
            case "merge":
                session.clear();
                Publisher merged = (Publisher) session.merge(publisher);
                session.flush();
                return !merged.id.equals(publisher.id) + " " + merged.version + " " + titles(merged.books);
            default: return null;
        }
    }

    static void assignedIds() throws Exception {
        for (int round = 0; round < 3; round++) {
            attempt("a reader's id again", session -> {
                session.save(new Student(7, "seven@example.com", "S7"));
                session.flush();
                session.clear();
                session.delete(session.get(Reader.class, 7));
                session.flush();
                session.clear();
                return session.get(Reader.class, 7);
            });
        }
        attempt("saveOrUpdate() inserts", session -> {
            session.saveOrUpdate(new Reader(7, "seven@example.com"));
            session.flush();
            return change(session, "delete Reader where id = 7");
        });
        attempt("merge() inserts", session -> {
            Reader merged = (Reader) session.merge(new Student(7, "seven@example.com", "S7"));
            session.flush();
            session.delete(merged);
            session.flush();
            merged = (Reader) session.merge(new Reader(7, "seven@example.com"));
            session.flush();
            session.delete(merged);
            return session.getIdentifier(merged);
        });
        attempt("polymorphic", session -> rows(session.createQuery("select r.id, r.class from Reader r order by r.id")));
        attempt("card taken", session -> session.save(new Student(8, "eight@example.com", "S3")));
        attempt("email taken", session -> session.save(new Student(8, "three@example.com", "S8")));
        attempt("id taken", session -> session.save(new Reader(3, "new@example.com")));
        attempt("by temporary table", session -> change(session, "delete Student where card like 'S%' and email like 'three%'"));
        attempt("left", session -> rows(session.createQuery("select id, email from Reader order by id")));
        attempt("card again", session -> session.save(new Student(3, "three@example.com", "S3")));
    }

    static void fixtures() throws Exception {
        for (ReplicationMode mode : new ReplicationMode[] {ReplicationMode.EXCEPTION, ReplicationMode.OVERWRITE, ReplicationMode.EXCEPTION, ReplicationMode.IGNORE}) {
            attempt("fixtures with ids, replicate " + mode, session -> {
                for (long n = 1; n <= 3; n++) {
                    Publisher fixture = new Publisher("fixture " + n);
                    fixture.id = 1000 + n;
                    fixture.name = mode.toString();
                    fixture.version = 5;
                    session.replicate(fixture, mode);
                }
                session.flush();
                return rows(session.createQuery("select id, name, version from Publisher where id > 1000 order by id"));
            });
        }
        attempt("torn down", session -> change(session, "delete Publisher where id > 1000"));
        attempt("loaded again", session -> {
            Publisher fixture = new Publisher("fixture 3");
            fixture.id = 1001L;
            session.replicate(fixture, ReplicationMode.LATEST_VERSION);
            session.flush();
            return rows(session.createQuery("select id, code from Publisher where id > 1000 order by id"));
        });
        for (int round = 0; round < 3; round++) {
            attempt("stateless", session -> stateless());
        }
        attempt("torn down", session -> change(session, "delete from Publisher where id > 1000"));
    }

    static Object stateless() {
        StatelessSession session = factory.openStatelessSession();
        Transaction transaction = session.beginTransaction();
        try {
            Reader reader = new Reader(50, "fifty@example.com");
            session.insert(reader);
            reader.email = "half-a-hundred@example.com";
            session.update(reader);
            session.delete(reader);
            transaction.commit();
            return session.get(Reader.class, 50);
        } finally {
            if (!transaction.wasCommitted()) {
                transaction.rollback();
            }
            session.close();
        }
    }

    static void bulk() throws Exception {
        String ofDogs = "book.id in (select id from Book where title like 'dog%')";
        attempt("deleted", session -> change(session, "delete Copy where barcode = 2 and " + ofDogs));
        attempt("deleted again", session -> change(session, "delete Copy where barcode = 2 and " + ofDogs));
        attempt("updated", session -> change(session, "update Copy set barcode = barcode + 1 where " + ofDogs));
        attempt("updated, versioned", session -> change(session, "update versioned Book set title = concat(title, '!') where title like 'dog%'"));
        attempt("of one publisher", session ->
            rows(session.createQuery("select b.title, b.version, c.barcode from Copy c join c.book b where b.publisher.code = 'dog' order by 1")));
        attempt("inserted from a query", session ->
            change(session, "insert into Subject (name) select concat('of ', code) from Publisher where id < 1000"));
        attempt("inserted twice", session ->
            change(session, "insert into Subject (name) select concat('of ', code) from Publisher where code = 'dog'"));
        attempt("without books", session ->
            change(session, "delete Subject where name like 'of %' and name not in (select s.name from Book b join b.subjects s)"));
        attempt("once more", session -> change(session, "insert into Subject (name) select concat('of ', code) from Publisher where code = 'dog'"));
        attempt("books with links", session -> change(session, "delete Book where title = 'dog 1!'"));
        attempt("deleted while scrolling", session -> {
            List<String> seen = new ArrayList<>();
            ScrollableResults result = session.createQuery("from Copy c order by c.id").setFetchSize(3).scroll(org.hibernate.ScrollMode.FORWARD_ONLY);
            while (result.next()) {
                Copy copy = (Copy) result.get(0);
                if (copy.id % 5 == 0) {
                    session.delete(copy);
                    session.flush();
                    seen.add("" + copy.id);
                }
            }
            return seen + " " + session.createCriteria(Copy.class).setProjection(Projections.rowCount()).uniqueResult();
        });
    }

    static void upserts() throws Exception {
        String insert = "insert into publisher (id, code, name, version) values (2000, 'ace', 'x', 0), (2001, 'new', 'x', 0) on conflict ";
        for (int round = 0; round < 2; round++) {
            attempt("do nothing", session -> update(session, insert + "do nothing"));
            attempt("by column", session -> update(session, insert + "(code) do update set version = publisher.version + 1"));
            attempt("by constraint", session ->
                rows(session.createSQLQuery(insert + "on constraint publisher_code_key do update set name = excluded.name "
                + "returning code, version, name")));
            attempt("deleted", session -> change(session, "delete Publisher where code = 'new'"));
            attempt("by key", session -> update(session, insert.replace("'ace'", "'ape'") + "(id) do update set version = publisher.version + 1"));
            attempt("deleted", session -> change(session, "delete Publisher where id >= 2000"));
        }
        attempt("no such constraint", session -> update(session, insert + "on constraint nothing do nothing"));
        for (int round = 0; round < 3; round++) {
            attempt("links", session ->
                update(session, "insert into book_subject (book_id, subject_name) select id, 'art' from book where title like 'cat%' "
                + "on conflict (book_id, subject_name) do nothing"));
            attempt("unlinked", session ->
                update(session, "delete from book_subject where subject_name = 'art' and book_id in (select id from book where title = 'cat 2')"));
        }
    }

    static void violations() throws Exception {
        attempt("code taken", session -> session.save(new Publisher("ace")));
        attempt("title taken", session -> publisher(session, "ace").add("ace 1"));
        attempt("barcode taken", session -> session.save(new Copy(book(session, "ace 1"), 1)));
        attempt("no title", session -> publisher(session, "ace").add(""));
        attempt("no code", session -> update(session, "insert into publisher (id, version) values (3000, 0)"));
        attempt("no such publisher", session -> update(session, "insert into book (id, publisher_id, title, version) values (3000, 4711, 'x', 0)"));
        attempt("a publisher that is deleted", session -> {
            Publisher gone = new Publisher("gone");
            transaction(other -> other.save(gone));
            transaction(other -> change(other, "delete Publisher where code = 'gone'"));
            return update(session, "insert into book (id, publisher_id, title, version) values (3000, " + gone.id + ", 'x', 0)");
        });
        attempt("a publisher with books", session -> change(session, "delete Publisher where code = 'ace'"));
        attempt("a book with chapters", session -> update(session, "delete from book where title = 'ace 1'"));
        attempt("in a batch", session -> {
            for (int n = 0; n < 5; n++) {
                session.save(new Subject(n == 3 ? "war" : "batch " + n));
            }
            return null;
        });
        for (int round = 0; round < 3; round++) {
            attempt("registered", session -> session.save(new Publisher("gnu")) != null);
            attempt("registered twice", session -> session.save(new Publisher("gnu")) != null);
            attempt("gone", session -> change(session, "delete Publisher where code = 'gnu'"));
        }
    }

    static void nextRelease() throws Exception {
        factory.close();
        SchemaUpdate migration = new SchemaUpdate(configuration(Reservation.class));
        migration.execute(false, true);
        show("hbm2ddl update", migration.getExceptions());
        new SchemaValidator(configuration(Reservation.class)).validate();
        factory = configuration(Reservation.class).buildSessionFactory();
        attempt("reserved", session -> {
            for (int place = 1; place <= 4; place++) {
                session.save(new Reservation(book(session, "ace " + place % 2), place));
            }
            return null;
        });
        attempt("reserved twice", session -> session.save(new Reservation(book(session, "ace 0"), 4)));
        attempt("deleted with its reservations", session -> {
            publisher(session, "ace").books.remove(0);
            session.flush();
            return rows(session.createQuery("select r.place, r.book.title from Reservation r order by r.place"));
        });
        attempt("place is free", session -> session.save(new Reservation(book(session, "ace 1"), 4)));
        attempt("fetched", session ->
            rows(session.createQuery("select distinct p.code, b.title, r.place from Reservation r join r.book b join b.publisher p order by 3")));
        attempt("in the end", Hibernate::census);
    }

    public static void main(String[] arguments) throws Exception {
        schema();
        fill();
        unitOfWork();
        manyToMany();
        elements();
        databaseCascades();
        staleObjects();
        assignedIds();
        fixtures();
        bulk();
        upserts();
        violations();
        nextRelease();
        factory.close();
    }
}
