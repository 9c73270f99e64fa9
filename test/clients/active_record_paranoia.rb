# ActiveRecord with paranoia: destroy, with_deleted, only_deleted, restore with its associations, really_destroy!,
# unique keys, counters, callbacks.  It deletes softly by itself.
#
# packages: ruby ruby-activerecord ruby-pg ruby-paranoia
# bridge: deleted_at

begin
  require "active_record"
  require "paranoia"
rescue LoadError => error
  puts error.message
  exit 77
end

ActiveRecord::Base.establish_connection(adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], username: ENV["PGUSER"],
                                        database: ENV["PGDATABASE"])
ActiveRecord::Migration.verbose = false

class CreateShops < ActiveRecord::Migration[6.0]
  def change
    create_table :shops do |t|
      t.string :name, null: false, index: { unique: true }
      t.integer :orders_count, null: false, default: 0
      t.timestamp :deleted_at, index: true
      t.timestamps
    end
    create_table :orders do |t|
      t.references :shop, null: false, foreign_key: true
      t.string :number, null: false
      t.timestamp :deleted_at
      t.index %i[shop_id number], unique: true, where: "deleted_at IS NULL", name: "one_number_per_shop"
    end
    create_table :addresses do |t|
      t.references :shop, null: false, foreign_key: true, index: { unique: true }
      t.string :street
      t.datetime :deleted_at, precision: 6
    end
    create_table :notes do |t|
      t.references :order, null: false
      t.string :text
    end
    create_table :invoices do |t|
      t.references :order, null: false, foreign_key: true
    end
  end
end

class Shop < ActiveRecord::Base
  acts_as_paranoid
  has_many :orders, dependent: :destroy
  has_one :address, dependent: :destroy
  validates :name, uniqueness: true
  after_destroy { show "after_destroy", name }
  after_restore { show "after_restore", name }
  after_commit(on: :destroy) { show "after_commit", name }
end

class Order < ActiveRecord::Base
  acts_as_paranoid
  belongs_to :shop, counter_cache: true
  has_many :notes
end

class Address < ActiveRecord::Base
  acts_as_paranoid
  belongs_to :shop
end

class Note < ActiveRecord::Base
  belongs_to :order, -> { with_deleted }
end

class Invoice < ActiveRecord::Base
  belongs_to :order
end

def show(label, value)
  puts format("%-60s %s", label, value.inspect)
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

# What may differ, and so is rolled back.
def try_out(label)
  ActiveRecord::Base.transaction do
    attempt(label) { yield }
    raise ActiveRecord::Rollback
  end
end

def state
  show "shops", Shop.order(:id).pluck(:name, :orders_count)
  show "deleted shops", Shop.only_deleted.order(:id).pluck(:name, :orders_count)
  show "all shops", Shop.with_deleted.order(:id).map { |shop| [shop.name, shop.deleted?] }
  show "orders", [Order.order(:id).pluck(:number), Order.only_deleted.order(:id).pluck(:number), Order.with_deleted.count]
  show "addresses", [Address.count, Address.with_deleted.count]
  show "notes of orders", Note.order(:id).map { |note| [note.text, note.order&.number] }
end

def fill
  %w[ann bob cid].each do |name|
    shop = Shop.create!(name: name)
    shop.create_address!(street: "#{name}'s street")
    3.times { |n| shop.orders.create!(number: "#{name}-#{n}") }
    shop.orders.first.notes.create!(text: "on the first of #{name}")
  end
  state
end

def destroying
  bob = Shop.find_by!(name: "bob")
  id = bob.id
  show "destroy", [bob.destroy.equal?(bob), bob.deleted?, bob.paranoia_destroyed?, bob.frozen?]
  attempt("find") { Shop.find(id) }
  show "find with deleted", Shop.with_deleted.find(id).name
  show "find_by, deleted", [Shop.find_by(id: id), Shop.only_deleted.find_by(id: id).name]
  attempt("reload, which keeps the scope") { bob.reload.name }
  show "update of what is deleted", [bob.update(orders_count: 7), Shop.with_deleted.find(id).orders_count]
  show "update_all", [Shop.where(id: id).update_all(orders_count: 8), Shop.only_deleted.where(id: id).update_all(orders_count: 0)]
  show "destroy again", Shop.with_deleted.find(id).destroy.deleted?
  show "exists", [Shop.exists?(id), Shop.with_deleted.exists?(id), Shop.only_deleted.exists?(name: "bob")]
  show "delete", Order.find_by(number: "ann-2").delete.deleted?
  show "counters", Shop.with_deleted.order(:id).pluck(:name, :orders_count)
  show "join", Shop.joins(:orders).group("shops.name").order("shops.name").count
  show "join of all", Shop.with_deleted.joins("JOIN orders ON orders.shop_id = shops.id").group("shops.name").order("shops.name").count
  show "by time", Shop.only_deleted.where("deleted_at > ?", 1.hour.ago).pluck(:name)
  show "sub-select", Order.with_deleted.where(shop_id: Shop.only_deleted.select(:id)).order(:id).pluck(:number)
  state
end

def keys
  show "valid", Shop.new(name: "bob").valid?
  try_out("unique key of a deleted shop") { Shop.create!(name: "bob").name }
  try_out("unique key of a deleted address") do
    ann = Shop.find_by(name: "ann")
    ann.address.destroy
    Address.create!(shop: ann, street: "another street").street
  end
  attempt("unique key of a live shop") { Shop.new(name: "cid").save!(validate: false) }
  attempt("partial unique key of a deleted order") { Shop.find_by(name: "ann").orders.create!(number: "ann-2").number }
  attempt("restore where a live row has the key") { Order.only_deleted.find_by(number: "ann-2").restore }
  try_out("foreign key to a deleted shop") { Order.create!(shop: Shop.only_deleted.find_by(name: "bob"), number: "x").number }
  try_out("foreign key of a live invoice") do
    order = Order.find_by(number: "ann-1")
    Invoice.create!(order: order)
    order.destroy.deleted?
  end
end

def restoring
  bob = Shop.only_deleted.order(:id).find_by(name: "bob")
  show "restore", [Shop.restore(bob.id, recursive: true).map(&:name), Shop.find(bob.id).orders.count]
  state
  cid = Shop.find_by(name: "cid")
  cid.orders.last.destroy
  show "restore one order", [cid.orders.with_deleted.last.restore.number, cid.reload.orders_count]
  cid.destroy
  show "restore alone", [Shop.only_deleted.find(cid.id).restore.deleted?, cid.reload.orders.count]
  attempt("restore what is not deleted") { Shop.restore(cid.id) }
  show "restore by a window", [cid.destroy.deleted?, Shop.restore(cid.id, recursive: true, recovery_window: 10.minutes).size, Shop.find(cid.id).orders.count]
  show "in a block", [Shop.find(cid.id).orders.destroy_all.size, Order.only_deleted.where(shop_id: cid.id).each(&:restore).size]
  state
end

def transactions
  Shop.transaction do
    Shop.find_by(name: "cid").destroy
    show "inside", [Shop.pluck(:name).sort, Shop.only_deleted.pluck(:name).sort]
    raise ActiveRecord::Rollback
  end
  show "after", Shop.order(:name).pluck(:name)
  Shop.transaction do
    Shop.find_by(name: "cid").destroy
    Shop.transaction(requires_new: true) do
      Shop.only_deleted.find_by(name: "cid").restore
      raise ActiveRecord::Rollback
    end
    show "deleted still", Shop.only_deleted.pluck(:name).sort
    Shop.restore(Shop.only_deleted.find_by(name: "cid").id, recursive: true)
  end
  show "locked", Shop.lock("FOR UPDATE").order(:name).pluck(:name)
  show "locked, deleted", Order.only_deleted.lock.order(:id).pluck(:number)
  show "in batches", Order.where(shop: Shop.find_by(name: "ann")).in_batches(of: 1).update_all(deleted_at: Time.now)
  show "upsert", Shop.upsert_all([{ name: "ann", orders_count: 0, created_at: Time.now, updated_at: Time.now }], unique_by: :name, returning: %w[name]).rows
  state
end

def really
  order = Shop.find_by(name: "ann").orders.create!(number: "ann-9")
  show "really_destroy!", [order.really_destroy!.destroyed?, Order.where(number: "ann-9").count]
  show "what is destroyed is deleted", Order.only_deleted.where(number: "ann-9").count
  show "really_destroy! of what is deleted", [Order.only_deleted.find_by(number: "ann-0").really_destroy!.destroyed?, Order.where(number: "ann-0").count]
end

CreateShops.new.migrate(:up)
[Shop, Order, Address, Note, Invoice].each(&:reset_column_information)
%i[fill destroying keys restoring transactions really].each do |part|
  puts "-- #{part}"
  send(part)
end
