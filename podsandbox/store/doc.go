// Package store keeps typed records in one bbolt file.
//
// The file carries a schema version: an older one is migrated on Open, a newer
// one is refused, so that a downgrade never misreads what it finds. A record
// is the JSON of one value; every Put is durable when it returns.
package store
