package volumes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// rabbitmq is RabbitMQ with a durable classic queue and a quorum queue. Its
// load are persistent messages, which the server confirms.
type rabbitmq struct {
	confirmed map[string]*acked // by queue
}

var rabbitQueues = map[string]amqp.Table{"classic": nil, "quorum": {amqp.QueueTypeArg: amqp.QueueTypeQuorum}}

var rabbitmqImage = debian.Image{
	Name: "rabbitmq",
	Layer: &debian.Layer{
		Packages: []string{"rabbitmq-server"}, Below: []*debian.Layer{debian.Base},
		Omit:    []string{"procps", "socat", "libwrap0", "libproc2-0"},
		Without: []string{"usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/escript"},
	},
	Files: debian.Fixed(images.Tree{
		"etc/rabbitmq": images.Dir(0o755), "etc/rabbitmq/enabled_plugins": images.File(0o644, "[].\n"),
		"etc/rabbitmq/rabbitmq.config": images.File(0o644, rabbitConf),
	}),
}

// rabbitConf is in the older format: reading the newer takes as long as starting does.
const rabbitConf = `[
	{rabbit, [{loopback_users, []}, {tcp_listeners, [5672]}, {disk_free_limit, 10000000}, {vm_memory_high_watermark, {absolute, 200000000}}]},
	{ra, [{wal_max_size_bytes, 8388608}]}
].
`

func (s *rabbitmq) name() string { return "RabbitMQ" }

func (s *rabbitmq) container() container {
	return container{
		image: rabbitmqImage, command: []string{"/usr/lib/rabbitmq/bin/rabbitmq-server"}, user: debian.RabbitUser, memory: 384, data: "/var/lib/rabbitmq",
		env: map[string]string{
			"HOME": "/var/lib/rabbitmq", "RABBITMQ_MNESIA_BASE": "/var/lib/rabbitmq/mnesia", "RABBITMQ_NODENAME": "rabbit@localhost",
			"RABBITMQ_LOGS": "-", "RABBITMQ_LOG_BASE": "/var/lib/rabbitmq/log", "ERL_CRASH_DUMP_SECONDS": "0",
			"RABBITMQ_CONFIG_FILE":          "/etc/rabbitmq/rabbitmq.config",
			"RABBITMQ_ENABLED_PLUGINS_FILE": "/etc/rabbitmq/enabled_plugins", "RABBITMQ_GENERATED_CONFIG_DIR": "/tmp",
			// Each further one is a module that the node compiles.
			"RABBITMQ_FEATURE_FLAGS": "quorum_queue",
			// Waiting busily for work takes a processor that others need.
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
		},
	}
}

// await waits for the server and returns a connection to it.
func (s *rabbitmq) await(ctx context.Context, r *running) (conn *amqp.Connection, err error) {
	err = r.Until(ctx, func(ctx context.Context) error {
		if !r.Logged("Server startup complete") {
			return errors.New("RabbitMQ does not say that it has started")
		}
		conn, err = amqp.Dial("amqp://guest:guest@" + r.IP() + ":5672/")
		return err
	})
	return conn, err
}

func (s *rabbitmq) use(ctx context.Context, r *running) error {
	conn, err := s.await(ctx, r)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	s.confirmed = map[string]*acked{}
	for queue, args := range rabbitQueues {
		if _, err := ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
			return fmt.Errorf("declare queue %s: %w", queue, err)
		}
		s.confirmed[queue] = &acked{}
	}
	return nil
}

// confirmsBeforeKill are for each queue.
const confirmsBeforeKill = 300

func (s *rabbitmq) load(ctx context.Context, r *running, enough func()) error {
	conn, err := s.await(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }() // it may be gone
	var all, loaded sync.WaitGroup
	loaded.Add(len(rabbitQueues))
	go func() { loaded.Wait(); enough() }()
	var mu sync.Mutex
	var errs []error
	for queue := range rabbitQueues {
		all.Go(func() {
			err := s.publish(ctx, conn, queue, sync.OnceFunc(loaded.Done))
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// publish sends messages, some at once, until the server is gone.
func (s *rabbitmq) publish(ctx context.Context, conn *amqp.Connection, queue string, enough func()) error {
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	for n := 0; err == nil; n += 10 {
		if err = s.batch(ctx, ch, queue, n); s.confirmed[queue].count() >= confirmsBeforeKill {
			enough()
		}
	}
	if s.confirmed[queue].count() < confirmsBeforeKill {
		return fmt.Errorf("queue %s: %w", queue, err)
	}
	return nil
}

// batch sends ten messages and waits for their confirmations.
func (s *rabbitmq) batch(ctx context.Context, ch *amqp.Channel, queue string, first int) error {
	var sent []*amqp.DeferredConfirmation
	for n := first; n < first+10; n++ {
		c, err := ch.PublishWithDeferredConfirm("", queue, true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: strconv.Itoa(n), Body: []byte(body(n)),
		})
		if err != nil {
			return err
		}
		sent = append(sent, c)
	}
	for i, c := range sent {
		ok, err := c.WaitContext(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("message %d is not confirmed", first+i)
		}
		s.confirmed[queue].add(first + i)
	}
	return nil
}

func (s *rabbitmq) check(ctx context.Context, r *running) (string, error) {
	conn, err := s.await(ctx, r)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	total := 0
	for queue := range rabbitQueues {
		if err := s.drain(ctx, conn, queue); err != nil {
			return "", fmt.Errorf("queue %s: %w", queue, err)
		}
		total += s.confirmed[queue].count()
	}
	return fmt.Sprintf("%d confirmed messages are there, in a classic and a quorum queue", total), nil
}

// drain takes every message out of a queue, and puts one in again.
func (s *rabbitmq) drain(ctx context.Context, conn *amqp.Connection, queue string) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	found := map[int]bool{}
	for {
		m, ok, err := ch.Get(queue, true)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		n, err := strconv.Atoi(m.MessageId)
		if err != nil || string(m.Body) != body(n) {
			return fmt.Errorf("message %q reads %q", m.MessageId, m.Body)
		}
		found[n] = true
	}
	if err := s.confirmed[queue].missing(found); err != nil {
		return err
	}
	if err := ch.Confirm(false); err != nil {
		return err
	}
	return s.batch(ctx, ch, queue, 1_000_000)
}
