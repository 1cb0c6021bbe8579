package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// streamBytes is one write to a TCP connection: what iperf3 writes, 128 KiB, is no faster here.
const streamBytes = 64 << 10

// streamDriver pushes bytes through a TCP connection of the kernel and counts what was
// acknowledged.
type streamDriver struct {
	thread *pin.Loop
	fd     int
	buffer []byte
}

// connectTCP connects from the calling thread's network namespace. It waits for somebody to listen,
// while alive says that he may.
func connectTCP(t *pin.Loop, to netip.AddrPort, alive func() error) (*streamDriver, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("load: open a TCP socket: %w", err)
	}
	d := &streamDriver{thread: t, fd: fd, buffer: make([]byte, streamBytes)}
	// A write gives up after this, so that an end that has stopped does not stop us.
	wait := unix.NsecToTimeval(int64(lookAfter))
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait)
	if err == nil {
		err = d.connect(to, alive)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load: connect to %v: %w", to, err), unix.Close(fd))
	}
	return d, nil
}

func (d *streamDriver) connect(to netip.AddrPort, alive func() error) error {
	for start := time.Now(); ; time.Sleep(answerPause) {
		err := unix.Connect(d.fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		switch {
		case err == unix.EISCONN: // since a signal interrupted us
			return nil
		case err != unix.ECONNREFUSED && err != unix.EINTR && err != unix.EALREADY,
			time.Since(start) > answerPatience:
			return err
		}
		if err := alive(); err != nil {
			return err
		}
	}
}

func (d *streamDriver) run(ctx context.Context, p Plan) (r Result, err error) {
	d.thread.Do(func() { r, err = d.push(ctx, p) })
	return r, errors.Join(err, ctx.Err())
}

// push writes through warm-up and measured time. Bytes that were acknowledged within the latter
// count, whenever they were written: the connection is as full at its beginning as at its end.
func (d *streamDriver) push(ctx context.Context, p Plan) (Result, error) {
	clock := pin.NewClock()
	if err := d.pushUntil(ctx, clock, clock.Now()+p.Warmup); err != nil {
		return Result{}, err
	}
	before, start, err := d.acknowledged(clock)
	if err != nil {
		return Result{}, err
	}
	if err := d.pushUntil(ctx, clock, start+p.Measure); err != nil {
		return Result{}, err
	}
	after, end, err := d.acknowledged(clock)
	return Result{Replies: after - before, Elapsed: end - start}, err
}

func (d *streamDriver) pushUntil(ctx context.Context, clock pin.Clock, end core.Time) error {
	for clock.Now() < end && ctx.Err() == nil {
		_, err := unix.Write(d.fd, d.buffer)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return fmt.Errorf("load: write to a TCP connection: %w", err)
		}
	}
	return nil
}

func (d *streamDriver) acknowledged(clock pin.Clock) (uint64, core.Time, error) {
	info, err := unix.GetsockoptTCPInfo(d.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0, fmt.Errorf("load: ask for acknowledged bytes: %w", err)
	}
	return info.Bytes_acked, clock.Now(), nil
}

// Close ends the connection.
func (d *streamDriver) Close() error { return unix.Close(d.fd) }

// sinkBytes is one read of the receiver: it empties what several writes have filled. (guess)
const sinkBytes = 256 << 10

// tcpSink reads the bytes of one TCP connection after the other, for ever.
func tcpSink(at netip.AddrPort) error {
	listener, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer listener.Close()
	buffer := make([]byte, sinkBytes)
	for {
		c, err := listener.AcceptTCP()
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		for err == nil {
			_, err = c.Read(buffer)
		}
		if err := c.Close(); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("load: %w", err)
		}
	}
}
