# Rails: the schema that ActiveRecord dumps after migrations that rename, retype and constrain columns of tables with
# deleted rows, loaded again, and what it says of columns, indexes, keys and checks.
#
# packages: ruby ruby-activerecord ruby-pg
# storages: aside

begin
  require "active_record"
rescue LoadError => error
  puts error.message
  exit 77
end

ActiveRecord::Base.establish_connection(adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], username: ENV["PGUSER"],
                                        database: ENV["PGDATABASE"])
ActiveRecord::Migration.verbose = false
MIGRATION = ActiveRecord::Migration[6.1]

class CreateShop < MIGRATION
  def change
    create_table :sellers, comment: "who sells" do |t|
      t.string :name, index: { unique: true }
      t.text :city, default: "nowhere"
      t.timestamps null: true
    end
    create_table :goods do |t|
      t.references :seller, null: false, foreign_key: { on_delete: :cascade }
      t.string :title, limit: 40, null: false
      t.integer :price
      t.jsonb :more, default: {}
      t.string :legacy
      t.index [:seller_id, :title], unique: true
      t.index "lower(title)", name: "by_lower_title"
    end
    create_join_table :goods, :shelves do |t|
      t.index [:good_id, :shelf_id], unique: true
    end
  end
end

class Constrain < MIGRATION
  disable_ddl_transaction!

  def up
    add_column :goods, :weight, :integer
    execute "UPDATE goods SET weight = 1"
    change_column_null :goods, :weight, false
    change_column_default :goods, :weight, 2
    change_column_null :goods, :price, false, 7
    change_column :goods, :price, :decimal, precision: 8, scale: 2, using: "price::numeric / 100"
    execute "DELETE FROM sellers WHERE name IS NULL"
    change_column_null :sellers, :name, false
    add_check_constraint :goods, "weight < 100", name: "light", validate: false
    validate_check_constraint :goods, name: "light" if respond_to?(:validate_check_constraint)
    execute "ALTER TABLE goods VALIDATE CONSTRAINT light"
    add_foreign_key :goods_shelves, :goods, on_delete: :cascade, validate: false
    validate_foreign_key :goods_shelves, :goods
    add_index :goods, :title, unique: true, algorithm: :concurrently, name: "one_title"
    rename_column :goods, :legacy, :old_name
    rename_table :sellers, :vendors
    change_column_comment :goods, :title, "what it is called"
  end

  def down
    rename_table :vendors, :sellers
    rename_column :goods, :old_name, :legacy
    remove_index :goods, name: "one_title"
    remove_foreign_key :goods_shelves, :goods
    remove_check_constraint :goods, name: "light"
    change_column :goods, :price, :integer, using: "price::integer"
    change_column_null :sellers, :name, true
    remove_column :goods, :weight
  end
end

def connection
  ActiveRecord::Base.connection
end

def dump
  stream = StringIO.new
  ActiveRecord::SchemaDumper.dump(connection, stream)
  # every extension of the database is in it
  stream.string.gsub(/^  enable_extension .*\n/, "")
end

def report(label)
  puts "-- #{label}", dump
  puts "tables #{connection.tables.sort} views #{connection.views.sort} sources #{connection.data_sources.sort}"
  connection.tables.sort.each do |table|
    puts "#{table} #{connection.primary_key(table).inspect} #{connection.table_comment(table).inspect}"
    connection.columns(table).each { |c| puts "    #{[c.name, c.sql_type, c.null, c.default, c.default_function, c.comment].inspect}" }
    connection.indexes(table).sort_by(&:name).each { |i| puts "    #{[i.name, i.columns, i.unique, i.where].inspect}" }
    connection.foreign_keys(table).each { |k| puts "    #{[k.name, k.to_table, k.options[:on_delete], k.options[:validate]].inspect}" }
    connection.check_constraints(table).each { |c| puts "    #{[c.name, c.expression].inspect}" }
  end
end

def run(sql)
  puts "#{connection.exec_update(sql)} #{sql}"
end

def fill(sellers)
  run "DELETE FROM goods_shelves"
  run "DELETE FROM #{sellers}"
  run "INSERT INTO #{sellers} (id, name) VALUES (1, 'ann'), (2, 'bob'), (3, 'cat')"
  run "INSERT INTO goods (id, seller_id, title, price) SELECT g, 1 + g % 3, 't' || g, 100 * g FROM generate_series(1, 9) AS g"
  run "INSERT INTO goods_shelves SELECT id, 1 FROM goods"
  run "DELETE FROM #{sellers} WHERE id = 1" if connection.foreign_keys("goods_shelves").any?
  run "DELETE FROM goods WHERE id > 7"
  run "INSERT INTO goods (id, seller_id, title, price) VALUES (8, 2, 't8', 5)"
end

CreateShop.new.migrate(:up)
report "created"
fill "sellers"
connection.execute "INSERT INTO sellers (id, name) VALUES (4, NULL)"
connection.execute "DELETE FROM goods_shelves WHERE good_id NOT IN (SELECT id FROM goods)"
Constrain.new.migrate(:up)
report "constrained"
fill "vendors"
Constrain.new.migrate(:down)
report "as before"
Constrain.new.migrate(:up)
schema = dump
eval(schema)
puts "loaded again: #{dump == schema}"
report "loaded"
fill "vendors"
