package volumes

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// mariadb is MariaDB. Its load is mysqlslap beside clients that commit transactions.
type mariadb struct {
	committed acked
	next      atomic.Int64
}

var mariadbImage = debian.Image{
	Name: "mariadb",
	Layer: &debian.Layer{
		Packages: []string{"mariadb-server-core", "mariadb-client"}, Below: []*debian.Layer{debian.Base},
		Omit:    []string{"libconfig-inifiles-perl", "libdbi-perl", "debianutils"},
		Without: []string{"usr/share/mysql/fill_help_tables.sql", "usr/bin/innotop", "usr/bin/mytop"},
	},
	// The texts of HELP are a third of the time that making the system tables takes.
	Files: debian.Fixed(images.Tree{
		"usr/share/mysql/fill_help_tables.sql": images.File(0o644, "-- no help\n"),
		"var/lib":                              images.Dir(0o755), "var/lib/mysql": {Type: images.Dir(0).Type, Mode: 0o700, UID: debian.MySQLUser, GID: debian.MySQLUser},
	}),
	Config: v1.Config{StopSignal: "SIGTERM"},
}

const mariadbScript = `cd /var/lib/mysql
if [ ! -e .made ]; then
	mariadb-install-db --no-defaults --datadir="$PWD" --skip-test-db --skip-name-resolve --auth-root-authentication-method=normal
	touch .made
fi
exec mariadbd --no-defaults --datadir="$PWD" --socket=/tmp/mysql.sock --bind-address=0.0.0.0 --skip-name-resolve --innodb-buffer-pool-size=48M`

func (s *mariadb) name() string { return "MariaDB" }

func (s *mariadb) container() container {
	return container{
		image: mariadbImage, command: []string{"sh", "-ec", mariadbScript}, user: debian.MySQLUser, memory: 384, data: "/var/lib/mysql",
	}
}

// open makes a pool of connections, which are cut when ctx ends: what waits for
// an answer of a machine that is gone would wait for long.
func (s *mariadb) open(ctx context.Context, r *running) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName = "app", "tcp", r.IP()+":3306", "app"
	cfg.DialFunc = func(dial context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(dial, network, addr)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// mysql runs statements as root, in the container.
func (s *mariadb) mysql(ctx context.Context, r *running, statements string) error {
	_, err := r.Exec(ctx, "mariadb", "--no-defaults", "--socket=/tmp/mysql.sock", "-u", "root", "-e", statements)
	return err
}

func (s *mariadb) use(ctx context.Context, r *running) error {
	if err := r.Until(ctx, func(ctx context.Context) error {
		if !r.Logged("ready for connections") {
			return errors.New("MariaDB does not say that it is ready")
		}
		return nil
	}); err != nil {
		return err
	}
	return s.mysql(ctx, r, `create database app; create user app@'%'; grant all on app.* to app@'%';
		create database wordpress; create user wordpress@'%' identified by 'wordpress'; grant all on wordpress.* to wordpress@'%';
		create user slap@localhost; grant all on *.* to slap@localhost;
		use app; create table acked (id int primary key, body text not null) engine=InnoDB;
		create table book (account int primary key, amount int not null) engine=InnoDB; insert into book values (1, 0), (2, 0);`)
}

func (s *mariadb) load(ctx context.Context, r *running, enough func()) error {
	db, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	defer db.Close()
	var all sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		all.Go(func() { errs[i] = s.commit(ctx, db, enough) })
	}
	// It runs until the kill.
	_, err = r.Exec(ctx, "mariadb-slap", "--no-defaults", "--socket=/tmp/mysql.sock", "--user=slap", "--auto-generate-sql",
		"--auto-generate-sql-load-type=mixed", "--engine=InnoDB", "--concurrency=2", "--number-of-queries=100000")
	all.Wait()
	if err == nil {
		return errors.New("mysqlslap ended by itself: the pod was not killed in the middle of its load")
	}
	return errors.Join(errs...)
}

// commit runs transactions until the server is gone: a row, and one moved from account 1 to 2.
func (s *mariadb) commit(ctx context.Context, db *sql.DB, enough func()) error {
	for {
		id := int(s.next.Add(1))
		if err := s.transaction(ctx, db, id); err != nil {
			if s.committed.count() < commitsBeforeKill {
				return err
			}
			return nil
		}
		if s.committed.add(id); s.committed.count() >= commitsBeforeKill {
			enough()
		}
	}
}

func (s *mariadb) transaction(ctx context.Context, db *sql.DB, id int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf("insert into acked values (%d, '%s')", id, body(id)),
		"update book set amount = amount - 1 where account = 1",
		"update book set amount = amount + 1 where account = 2",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (s *mariadb) check(ctx context.Context, r *running) (string, error) {
	db, err := s.open(ctx, r)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := r.Until(ctx, db.PingContext); err != nil {
		return "", err
	}
	if !r.Logged("Starting crash recovery") {
		return "", errors.New("the server did not recover from a crash: was it killed?")
	}
	rows, err := db.QueryContext(ctx, "select id, body from acked")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	found := map[int]bool{}
	for rows.Next() {
		var id int
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return "", err
		}
		if text != body(id) {
			return "", fmt.Errorf("row %d reads %q", id, text)
		}
		found[id] = true
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	if err := s.committed.missing(found); err != nil {
		return "", err
	}
	return s.whole(ctx, db, r, len(found))
}

// whole checks the other half of each transaction, and has the server check its tables.
func (s *mariadb) whole(ctx context.Context, db *sql.DB, r *running, rows int) (string, error) {
	var from, to int
	if err := db.QueryRowContext(ctx, "select (select amount from book where account = 1), (select amount from book where account = 2)").Scan(&from, &to); err != nil {
		return "", err
	}
	if to != rows || from != -rows {
		return "", fmt.Errorf("%d rows, but the accounts hold %d and %d", rows, from, to)
	}
	out, err := r.Exec(ctx, "mariadb-check", "--no-defaults", "--socket=/tmp/mysql.sock", "-u", "root", "--databases", "app", "wordpress", "mysql")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if !strings.HasSuffix(strings.TrimSpace(line), "OK") {
			return "", fmt.Errorf("mariadb-check says %q", line)
		}
	}
	if err := s.transaction(ctx, db, int(s.next.Add(1))); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d acknowledged transactions are there, whole", s.committed.count()), nil
}
