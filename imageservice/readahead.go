package imageservice

import (
	"io"
	"sync"
)

const (
	readaheadBlock  = 512 << 10
	readaheadBlocks = 4
)

// readahead reads a stream in a goroutine of its own, so that decompression
// runs beside what is done with its output.
type readahead struct {
	full  chan block
	empty chan []byte
	stop  chan struct{}
	once  sync.Once
	ended chan struct{}

	cur block
	pos int
}

type block struct {
	data []byte
	err  error
}

// newReadahead takes r over; Close waits until it is no longer read.
func newReadahead(r io.Reader) *readahead {
	a := &readahead{
		full:  make(chan block, readaheadBlocks),
		empty: make(chan []byte, readaheadBlocks),
		stop:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	for range readaheadBlocks {
		a.empty <- make([]byte, readaheadBlock)
	}
	go a.run(r)
	return a
}

func (a *readahead) run(r io.Reader) {
	defer close(a.ended)
	for {
		var buf []byte
		select {
		case buf = <-a.empty:
		case <-a.stop:
			return
		}
		n, err := fill(r, buf[:readaheadBlock])
		select {
		case a.full <- block{buf[:n], err}:
		case <-a.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// fill is io.ReadFull, but the stream's own error is kept: a truncated stream
// must not look like a short last block.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

func (a *readahead) Read(p []byte) (int, error) {
	for a.pos == len(a.cur.data) {
		if a.cur.err != nil {
			return 0, a.cur.err
		}
		if a.cur.data != nil {
			a.empty <- a.cur.data
		}
		a.cur, a.pos = <-a.full, 0
	}
	n := copy(p, a.cur.data[a.pos:])
	a.pos += n
	return n, nil
}

func (a *readahead) Close() error {
	a.once.Do(func() { close(a.stop) })
	<-a.ended
	return nil
}
