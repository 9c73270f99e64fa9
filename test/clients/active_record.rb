# ActiveRecord: migrations to and fro, dependent: :destroy and :delete_all, lock_version, insert_all and upsert_all,
# find_or_create_by, has_and_belongs_to_many, polymorphic and counted associations, nested transactions.
#
# packages: ruby ruby-activerecord ruby-pg

begin
  require "active_record"
rescue LoadError => error
  puts error.message
  exit 77
end

ActiveRecord::Base.establish_connection(adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], username: ENV["PGUSER"],
                                        database: ENV["PGDATABASE"])
ActiveRecord::Migration.verbose = false
MIGRATION = ActiveRecord::Migration[6.0]

class CreateAuthors < MIGRATION
  def change
    create_table :authors do |t|
      t.string :name, null: false
      t.string :login, null: false
      t.integer :books_count, null: false, default: 0
      t.integer :lock_version, null: false, default: 0
      t.string :legacy
      t.index :login, unique: true
    end
    create_table :profiles do |t|
      t.references :author, null: false, foreign_key: { on_delete: :cascade }, index: { unique: true }
      t.string :bio
    end
  end
end

class CreateBooks < MIGRATION
  def change
    create_table :books do |t|
      t.references :author, foreign_key: true
      t.references :sequel_of, foreign_key: { to_table: :books, on_delete: :nullify }
      t.string :isbn, null: false
      t.string :title
      t.index %i[author_id title], unique: true, name: "one_title_per_author"
      t.index :isbn, unique: true
    end
    create_table :reviews do |t|
      t.references :book, null: false, foreign_key: true
      t.integer :stars
      t.check_constraint "stars BETWEEN 1 AND 5", name: "stars_range" if t.respond_to?(:check_constraint)
    end
    create_table :genres do |t|
      t.string :name, null: false, index: { unique: true }
    end
    create_join_table :books, :genres do |t|
      t.index %i[book_id genre_id], unique: true
    end
    create_table :comments do |t|
      t.references :about, polymorphic: true
      t.string :text
    end
  end
end

class ChangeAuthors < MIGRATION
  def change
    remove_column :authors, :legacy, :string
    rename_column :authors, :login, :handle
    add_column :authors, :email, :string
    remove_index :books, name: "one_title_per_author", column: %i[author_id title], unique: true
    add_index :books, %i[title author_id], unique: true, name: "one_author_per_title"
    change_column_default :authors, :email, from: nil, to: ""
    reversible { |dir| dir.up { change_column :authors, :name, :text } ; dir.down { change_column :authors, :name, :string } }
  end
end

class Author < ActiveRecord::Base
  has_many :books, dependent: :destroy
  has_one :profile, dependent: nil
  has_many :reviews, through: :books
  has_many :comments, as: :about, dependent: :delete_all
end

class Profile < ActiveRecord::Base
  belongs_to :author
end

class Book < ActiveRecord::Base
  belongs_to :author, counter_cache: true, optional: true
  belongs_to :sequel_of, class_name: "Book", optional: true
  has_many :reviews, dependent: :delete_all
  has_and_belongs_to_many :genres
  has_many :comments, as: :about, dependent: :destroy
end

class Review < ActiveRecord::Base
  belongs_to :book
end

class Genre < ActiveRecord::Base
  has_and_belongs_to_many :books
  validates :name, uniqueness: true
end

class Comment < ActiveRecord::Base
  belongs_to :about, polymorphic: true
end

def show(label, value)
  puts format("%-52s %s", label, value.inspect)
end

# The error as an application tells it from others.
def attempt(label)
  show(label, ActiveRecord::Base.transaction(requires_new: true) { yield })
rescue ActiveRecord::StatementInvalid => error
  result = error.cause.respond_to?(:result) && error.cause.result
  show(label, [error.class.name, result && result.error_field(PG::PG_DIAG_SQLSTATE), result && result.error_field(PG::PG_DIAG_CONSTRAINT_NAME)])
rescue ActiveRecord::ActiveRecordError => error
  show(label, [error.class.name, error.message.sub(/#<(\w+).*?>/, '\1')])
end

def census
  [Author, Profile, Book, Review, Genre, Comment].map { |model| [model.table_name, model.count] } +
    [["books_genres", Book.connection.select_value("SELECT count(*) FROM books_genres")]]
end

def migrate(*migrations, direction)
  migrations.each { |migration| migration.new.migrate(direction) }
  [Author, Profile, Book, Review, Genre, Comment].each(&:reset_column_information)
end

def migrations
  migrate CreateAuthors, CreateBooks, :up
  author = Author.create!(name: "Ann", login: "ann", legacy: "x")
  author.books.create!(isbn: "0", title: "Zero")
  author.destroy!
  Author.create!(name: "Ann", login: "ann", legacy: "y")
  migrate ChangeAuthors, :up
  show "columns", %w[legacy login handle email] & Author.column_names
  show "authors", Author.pluck(:id, :name, :handle, :email)
  attempt("handle taken") { Author.create!(name: "Ann", handle: "ann") }
  migrate ChangeAuthors, :down
  attempt("login taken") { Author.create!(name: "Ann", login: "ann") }
  migrate CreateBooks, :down
  migrate CreateBooks, ChangeAuthors, :up
  Author.destroy_all
  show "census", census
end

def fill
  genres = %w[crime poems travel].map { |name| Genre.create!(name: name) }
  %w[ann ben cleo].each_with_index do |login, number|
    author = Author.create!(name: login.capitalize, handle: login)
    author.create_profile!(bio: "bio of #{login}")
    3.times do |n|
      book = author.books.create!(isbn: "#{number}-#{n}", title: "Volume #{n}", genres: [genres[n], genres[number]].uniq)
      book.reviews.create!([{ stars: 5 }, { stars: n + 1 }])
      book.comments.create!(text: "on #{book.isbn}")
    end
    author.comments.create!(text: "on #{login}")
  end
  show "census", census
end

def find(login)
  Author.find_by(handle: login)
end

def dependents
  ann = find("ann")
  old = ann.id
  show "destroy", [ann.destroy.frozen?, census]
  attempt("find") { Author.find(old) }
  again = Author.create!(id: old, name: "Ann", handle: "ann")
  show "again", [again.id == old, again.books.to_a, again.books_count, again.profile]
  ben = find("ben")
  show "counter", ben.books_count
  ben.books.first.destroy
  show "counter", [ben.reload.books_count, ben.books.count, ben.reviews.average(:stars).to_i]
  show "delete_all", ben.books.first.reviews.delete_all
  attempt("delete, which skips dependents") { ben.delete }
  ben.books.each { |book| book.reviews.delete_all }
  show "delete_by", Book.delete_by(author_id: ben.id)
  show "where.delete_all", Author.where(id: ben.id).delete_all
  show "the database has taken the profile", Profile.where(author_id: ben.id).exists?
  show "orphans of polymorphs", Comment.where(about_type: "Author", about_id: ben.id).count
  show "destroy_all", Comment.where(about_type: "Author", about_id: ben.id).destroy_all.size
  show "census", census
end

def stale
  one, two = find("cleo"), find("cleo")
  one.update!(name: "Cleopatra")
  attempt("update of an old version") { two.update!(name: "C") }
  attempt("destroy of an old version") do
    old = Profile.joins(:author).find_by(author: one) && Author.create!(name: "Dan", handle: "dan")
    Author.find(old.id).update!(name: "Daniel")
    old.destroy
  end
  one.reload
  two = Author.find(one.id)
  one.books.each { |book| book.reviews.delete_all }
  show "destroyed", one.destroy.destroyed?
  attempt("update of what is gone") { two.update!(name: "C") }
  attempt("destroy of what is gone") { two.destroy }
  attempt("reload") { two.reload }
  attempt("lock") { Author.lock.find(two.id) }
  show "update_all", Author.where(id: two.id).update_all(name: "C")
  book = Book.create!(isbn: "x")
  Book.where(isbn: "x").delete_all
  show "update_columns", (book.update_columns(title: "t") rescue $!.class)
  show "saved", (book.update(title: "u") rescue $!.class)
end

def unique
  Genre.create!(name: "essay")
  attempt("validated") { Genre.create!(name: "essay") }
  attempt("by the database") { Genre.new(name: "essay").save!(validate: false) }
  Genre.find_by(name: "essay").destroy
  show "valid again", Genre.new(name: "essay").valid?
  3.times do
    show "find_or_create_by", [Genre.find_or_create_by!(name: "essay").previous_changes.key?("id"), Genre.find_or_create_by!(name: "essay").previous_changes.key?("id")]
    show "create_or_find_by", Genre.create_or_find_by(name: "essay").name
    show "deleted", Genre.where(name: "essay").delete_all
  end
  3.times do |n|
    begin
      Genre.transaction(requires_new: true) { Genre.new(name: n.zero? ? "essay" : "essay-#{n}").save!(validate: false) }
      Genre.transaction(requires_new: true) { Genre.new(name: "essay").save!(validate: false) }
    rescue ActiveRecord::RecordNotUnique => error
      show "taken", error.cause.result.error_field(PG::PG_DIAG_CONSTRAINT_NAME)
      Genre.where(name: "essay").destroy_all if n == 1
    end
  end
  show "genres", Genre.order(:name).pluck(:name)
end

def bulk
  rows = (1..6).map { |n| { isbn: "bulk-#{n}", title: "Bulk #{n}" } }
  show "insert_all", Book.insert_all(rows, returning: %w[isbn]).rows.flatten
  show "deleted", Book.where(isbn: %w[bulk-1 bulk-2 bulk-3]).delete_all
  show "insert_all", Book.insert_all(rows, returning: %w[isbn]).rows.flatten
  show "insert_all by key", Book.insert_all(rows, unique_by: :isbn, returning: %w[isbn]).rows.flatten
  attempt("insert_all!") { Book.insert_all!(rows.last(1)).length }
  show "deleted", Book.where(isbn: %w[bulk-5 bulk-6]).delete_all
  show "upsert_all", Book.upsert_all(rows.map { |row| row.merge(title: row[:title] + "!") }, unique_by: :isbn, returning: %w[isbn title]).rows
  show "upsert by name of index", Book.upsert_all([{ isbn: "bulk-1", title: "?" }], unique_by: :index_books_on_isbn, returning: %w[title]).rows
  id = Book.find_by(isbn: "bulk-1").id
  Book.where(id: id).delete_all
  show "upsert by id", Book.upsert_all([{ id: id, isbn: "bulk-1", title: "by id" }], returning: %w[title]).rows
  show "upsert by id", Book.upsert_all([{ id: id, isbn: "bulk-1", title: "by id again" }], returning: %w[title]).rows
  attempt("upsert against another key") { Book.upsert_all([{ id: id, isbn: "bulk-2", title: "?" }]).length }
  show "in batches", Book.where("isbn LIKE 'bulk%'").in_batches(of: 2).delete_all
  show "find_each", Book.find_each(batch_size: 2).count
  first = Book.create!(isbn: "p1")
  second = Book.create!(isbn: "p2", sequel_of: first)
  first.delete
  show "nullified", second.reload.sequel_of_id
end

def many_to_many
  book = Book.create!(isbn: "m2m", genres: Genre.where(name: %w[crime poems]))
  [%w[poems], %w[crime travel], [], %w[crime poems travel]].each do |names|
    book.genres = Genre.where(name: names).order(:name)
    show "genres", book.reload.genres.map(&:name).sort
  end
  book.genre_ids = [Genre.find_by(name: "crime").id]
  show "genres", book.reload.genres.map(&:name)
  attempt("twice") { Book.connection.execute("INSERT INTO books_genres (book_id, genre_id) SELECT book_id, genre_id FROM books_genres").cmd_tuples }
  book.genres.delete(Genre.find_by(name: "crime"))
  book.genres << Genre.find_by(name: "crime")
  show "genres", book.reload.genres.map(&:name)
  Genre.find_by(name: "crime").destroy
  show "genres", [book.reload.genres.to_a, Genre.joins(:books).group(:name).count]
  show "left join", Book.left_joins(:genres).where(isbn: "m2m").pluck("genres.name")
end

def transactions
  Genre.transaction do
    Genre.where(name: "travel").delete_all
    Genre.transaction(requires_new: true) do
      Genre.create!(name: "travel")
      raise ActiveRecord::Rollback
    end
    show "inside", Genre.where(name: "travel").exists?
    Genre.create!(name: "travel")
  end
  show "after", Genre.where(name: "travel").count
  show "locked", Genre.lock("FOR UPDATE SKIP LOCKED").order(:name).pluck(:name)
  result = Genre.connection.exec_query("DELETE FROM genres WHERE name = $1 RETURNING name", "SQL", [ActiveRecord::Relation::QueryAttribute.new("name", "travel", ActiveRecord::Type::String.new)], prepare: true)
  show "exec_query", [result.columns, result.rows]
  show "exec_delete", Genre.connection.delete("DELETE FROM genres WHERE name = 'poems'")
  show "truncate", Genre.connection.truncate_tables("comments", "reviews")
  show "census", census
  show "next", Comment.create!(text: "?").id
end

%i[migrations fill dependents stale unique bulk many_to_many transactions].each do |part|
  puts "-- #{part}"
  send(part)
end
