package volumes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/jackc/pgx/v5"

	"github.com/paddock-run/paddock/e2e/debian"
)

// postgres is PostgreSQL. Its load is pgbench beside clients that commit one row each.
type postgres struct {
	committed acked
	next      atomic.Int64
}

var postgresImage = debian.Image{
	Name: "postgresql",
	Layer: &debian.Layer{
		Packages: []string{"postgresql-15", "tzdata"}, Below: []*debian.Layer{debian.Base},
		Omit:    []string{"netbase", "postgresql-common", "postgresql-client-common", "libjson-perl"},
		Without: []string{"usr/lib/postgresql/15/lib/bitcode", "usr/lib/postgresql/15/lib/llvmjit.so", "usr/share/zoneinfo/right", "usr/share/zoneinfo/posix"},
	},
	Config: v1.Config{StopSignal: "SIGINT"}, // SIGTERM waits until clients have gone
}

const postgresScript = `cd "$PGDATA"
if [ ! -e PG_VERSION ]; then
	initdb -k -A trust -U postgres --locale=C.UTF-8
	echo "host all all all trust" >> pg_hba.conf
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp`

func (s *postgres) name() string { return "PostgreSQL" }

func (s *postgres) container() container {
	return container{
		image: postgresImage, command: []string{"sh", "-ec", postgresScript}, user: debian.PostgresUser, memory: 384,
		data: "/var/lib/postgresql/data",
		env:  map[string]string{"PGDATA": "/var/lib/postgresql/data", "PGHOST": "/tmp", "PGUSER": "postgres", "PATH": "/usr/lib/postgresql/15/bin:/usr/bin"},
	}
}

func (s *postgres) dial(ctx context.Context, r *running) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable&connect_timeout=5", r.IP()))
}

// await waits for the server and returns a connection to it.
func (s *postgres) await(ctx context.Context, r *running) (conn *pgx.Conn, err error) {
	err = r.Until(ctx, func(ctx context.Context) error {
		if !r.Logged("database system is ready to accept connections") { // each try is a process of the server's
			return errors.New("PostgreSQL does not say that it is ready")
		}
		conn, err = s.dial(ctx, r)
		return err
	})
	return conn, err
}

func (s *postgres) use(ctx context.Context, r *running) error {
	conn, err := s.await(ctx, r)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create table acked (id int primary key, body text not null)"); err != nil {
		return err
	}
	// The server makes the rows itself: sending them costs more under emulation.
	_, err = r.Exec(ctx, "pgbench", "-i", "-I", "dtGvp", "-q", "-s", "1")
	return err
}

func (s *postgres) load(ctx context.Context, r *running, enough func()) error {
	var all sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		all.Go(func() { errs[i] = s.commit(ctx, r, enough) })
	}
	// It runs until the kill.
	_, err := r.Exec(ctx, "pgbench", "-c", "2", "-T", "600", "-n")
	all.Wait()
	if err == nil {
		return errors.New("pgbench ended by itself: the pod was not killed in the middle of its load")
	}
	return errors.Join(errs...)
}

// commitsBeforeKill are enough for several WAL flushes of several clients at once.
const commitsBeforeKill = 300

// commit inserts rows until the server is gone.
func (s *postgres) commit(ctx context.Context, r *running, enough func()) error {
	conn, err := s.dial(ctx, r)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for {
		id := int(s.next.Add(1))
		if _, err := conn.Exec(ctx, "insert into acked values ($1, $2)", id, body(id)); err != nil {
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

// body is a text that tells damage.
func body(id int) string { return strings.Repeat(fmt.Sprintf("row %d;", id), 20) }

func (s *postgres) check(ctx context.Context, r *running) (string, error) {
	conn, err := s.await(ctx, r)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if !r.Logged("automatic recovery in progress") {
		return "", errors.New("the server did not recover from a crash: was it killed?")
	}
	rows, err := conn.Query(ctx, "select id, body from acked")
	if err != nil {
		return "", err
	}
	found := map[int]bool{}
	var id int
	var text string
	if _, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		if text != body(id) {
			return fmt.Errorf("row %d reads %q", id, text)
		}
		found[id] = true
		return nil
	}); err != nil {
		return "", err
	}
	if err := s.committed.missing(found); err != nil {
		return "", err
	}
	if err := s.balanced(ctx, conn); err != nil {
		return "", err
	}
	if _, err := r.Exec(ctx, "pgbench", "-c", "2", "-t", "20", "-n"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d acknowledged commits are there, pgbench's books balance", s.committed.count()), s.shutDown(ctx, r)
}

// balanced checks what pgbench's transactions keep true.
func (s *postgres) balanced(ctx context.Context, conn *pgx.Conn) error {
	var accounts, tellers, branches, history int64
	if err := conn.QueryRow(ctx, `select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
		(select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history)`).Scan(&accounts, &tellers, &branches, &history); err != nil {
		return err
	}
	if accounts != tellers || accounts != branches || accounts != history {
		return fmt.Errorf("pgbench's sums differ: accounts %d, tellers %d, branches %d, history %d", accounts, tellers, branches, history)
	}
	return nil
}

// shutDown stops the server and has every page's checksum checked.
func (s *postgres) shutDown(ctx context.Context, r *running) error {
	code, err := r.Stop(ctx)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the server ended with exit code %d when it was stopped", code)
	}
	c := s.container()
	c.command = []string{"pg_checksums", "--check"}
	checksums, err := r.pod.Start(ctx, "checksums", c.on(r.dir))
	if err != nil {
		return err
	}
	if code, err = checksums.Wait(ctx); err == nil && code != 0 {
		err = fmt.Errorf("pg_checksums: exit code %d\n%s", code, checksums.LogTail(5))
	}
	return err
}
