package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
)

// answerWithin is how long a client waits for an answer before it asks again, as clients of UDP do:
// longer than a busy machine stalls.
const answerWithin = time.Second

// exchange sends n datagrams from a plain socket in A, of growing size, and wants each back.
func (h *host) exchange(t *testing.T, to netip.Addr, n int) {
	t.Helper()
	if err := h.tryExchange(to, n); err != nil {
		t.Error(err)
	}
}

// tryExchange sends a datagram again that is not answered. The veth ring may drop some of them beside
// other traffic, so a tenth may be lost. None may be late: an answer that comes once another
// datagram was sent is one that was stuck, until that one woke somebody up.
func (h *host) tryExchange(to netip.Addr, n int) error {
	conn, err := h.dial("udp", netip.AddrPortFrom(to, echoPort).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	buffer := make([]byte, 2048)
	lost := 0
	for i, repeated := 0, 0; i < n; {
		want := binary.BigEndian.AppendUint32(nil, uint32(i))
		want = append(want, byte(repeated))
		want = append(want, bytes.Repeat([]byte{byte(i)}, i%1400)...)
		if _, err := conn.Write(want); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(answerWithin)); err != nil {
			return err
		}
		size, err := conn.Read(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			repeated++
			if lost++; lost > n/10 {
				return fmt.Errorf("%v: %d of the first %d datagrams unanswered", to, lost, i+1)
			}
			continue
		case err != nil:
			return err
		case !bytes.Equal(buffer[:size], want):
			return fmt.Errorf("%v: answer %d (repeated %d times) is % x", to, i, repeated,
				buffer[:min(size, 16)])
		}
		i, repeated = i+1, 0
	}
	return nil
}

func (h *host) dial(network, address string) (conn net.Conn, err error) {
	err = h.lab.In(lab.A, func() error {
		conn, err = net.DialTimeout(network, address, patience)
		return err
	})
	return conn, err
}

// ping sends n ICMP echo requests from A and wants the kernel's replies.
func (h *host) ping(to netip.Addr, n int) error {
	network, request, reply := "ip4:icmp", byte(8), byte(0) // RFC 792
	if to.Is6() {
		network, request, reply = "ip6:ipv6-icmp", 128, 129 // RFC 4443
	}
	var conn net.PacketConn
	err := h.lab.In(lab.A, func() (err error) {
		conn, err = net.ListenPacket(network, "")
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	buffer := make([]byte, 1500)
	for seq := range n {
		message := []byte{request, 0, 0, 0, 0x64, 0x6c, byte(seq >> 8), byte(seq), 'd', 'u', 'n', 'l'}
		if to.Is4() { // the kernel fills in that of version 6, whose sum has the addresses in it
			binary.BigEndian.PutUint16(message[2:], checksum(message))
		}
		if _, err := conn.WriteTo(message, &net.IPAddr{IP: to.AsSlice()}); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		for { // neighbour discovery comes here too
			size, _, err := conn.ReadFrom(buffer)
			if err != nil {
				return fmt.Errorf("ping %v: request %d: %w", to, seq, err)
			}
			if size == len(message) && buffer[0] == reply && bytes.Equal(buffer[4:size], message[4:]) {
				break
			}
		}
	}
	return nil
}

// checksum is the Internet checksum, RFC 1071, of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}

// converse sends n messages of 64 KiB over a TCP connection from A to a kernel server in B that sends
// them back.
func (h *host) converse(to netip.Addr, n int) error {
	var listener net.Listener
	err := h.lab.In(lab.B, func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(to, 0).String())
		return err
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return // nobody came; the client says why
		}
		_, _ = io.Copy(conn, conn)
		conn.Close()
	}()
	conn, err := h.dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	message, answer := bytes.Repeat([]byte("dunlin! "), 8192), make([]byte, 65536)
	for i := range n {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := conn.Write(message); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, message) {
			return fmt.Errorf("TCP to %v: message %d came back wrong: %v", to, i, err)
		}
	}
	return nil
}

// TestUDPBesideTheKernel is the main promise: any UDP client reaches an unprivileged application
// through the kernel-bypass path, while ICMP and TCP of the same interface stay with the kernel.
func TestUDPBesideTheKernel(t *testing.T) {
	h := newHost(t, "")
	h.iokernel(t)
	echo := h.echo(t, "--udp", fmt.Sprint(echoPort))
	end := h.lab.End(lab.B)
	for _, to := range []netip.Addr{end.IPv4, end.IPv6} {
		h.exchange(t, to, 100) // alone

		var running sync.WaitGroup
		for name, f := range map[string]func() error{
			"UDP":  func() error { return h.tryExchange(to, 500) },
			"ICMP": func() error { return h.ping(to, 50) },
			"TCP":  func() error { return h.converse(to, 50) },
		} {
			running.Go(func() {
				if err := f(); err != nil {
					t.Errorf("%s to %v: %v", name, to, err)
				}
			})
		}
		running.Wait()
	}
	before := h.status(t).Runtimes[0].Counters
	if before["rx_packets"] < 1200 || before["tx_packets"] < 1200 {
		t.Errorf("the iokernel says %v; 1200 exchanges went through it", before)
	}
	echo.signal(unix.SIGTERM)
	echo.wait(t, 0)
	echo.await(t, 0, "done: ")
}

// TestModes runs the ways to attach that differ by a flag.
func TestModes(t *testing.T) {
	tests := []struct {
		name, config string
		uid          uint32
		args         []string
		says         string
	}{
		{"everything granted", "", nobody, nil, "ready: echo serves UDP port 7777, EtherType 0x88b5 on dl1"},
		{"direct", "    allow_direct: true\n    queue: 0\n", nobody, []string{"--direct"}, ", direct, "},
		{"spin", "", nobody, []string{"--spin", "forever"}, ", mediated, "},
		{"json", "", nobody, []string{"-o", "json"}, `"mode":"mediated"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t, test.config)
			h.iokernel(t)
			args := append([]string{"echo", "--socket", h.socket}, test.args...)
			echo := h.start(t, test.uid, "dunlin", args...)
			echo.await(t, 0, test.says)
			h.exchange(t, h.lab.End(lab.B).IPv4, 50)
			h.exchange(t, h.lab.End(lab.B).IPv6, 50)
			echo.signal(unix.SIGINT)
			echo.wait(t, 0)
		})
	}
	t.Run("solo", func(t *testing.T) {
		h := newHost(t, "")
		end := h.lab.End(lab.B)
		echo := h.start(t, 0, "dunlin", "echo", "--solo", end.Name, "--udp", fmt.Sprint(echoPort))
		echo.await(t, 0, "solo mediated")
		h.exchange(t, end.IPv4, 50)
		h.exchange(t, end.IPv6, 50)
		echo.signal(unix.SIGTERM)
		echo.wait(t, 0)
		h.noProgram(t)
	})
}

// TestRaw exchanges Ethernet frames of the registered EtherType with a packet socket of the kernel.
func TestRaw(t *testing.T) {
	h := newHost(t, "")
	h.iokernel(t)
	h.echo(t, "--raw")
	client, server := h.lab.End(lab.A), h.lab.End(lab.B)
	const etherType = 0x88B5
	network := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
	fd := -1
	err := h.lab.In(lab.A, func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(network))
		if err != nil {
			return err
		}
		timeout := unix.NsecToTimeval(patience.Nanoseconds())
		return errors.Join(
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: client.Index}),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	buffer := make([]byte, 2048)
	for _, size := range []int{60, 61, 512, 1514} {
		frame := make([]byte, size)
		copy(frame, server.MAC[:])
		copy(frame[6:], client.MAC[:])
		binary.BigEndian.PutUint16(frame[12:], etherType)
		for i := range frame[14:] {
			frame[14+i] = byte(i + size)
		}
		if _, err := unix.Write(fd, frame); err != nil {
			t.Fatal(err)
		}
		n, err := unix.Read(fd, buffer)
		for err == unix.EINTR { // Go's scheduler signals threads
			n, err = unix.Read(fd, buffer)
		}
		copy(frame, client.MAC[:])
		copy(frame[6:], server.MAC[:])
		if err != nil || !bytes.Equal(buffer[:n], frame) {
			t.Fatalf("%d bytes came back as %d, % x, %v", size, n, buffer[:min(max(n, 0), 20)], err)
		}
	}
}

// TestServiceCapabilities runs the iokernel as docs/iokernel.service does: an ordinary user with
// five capabilities.
func TestServiceCapabilities(t *testing.T) {
	h := newHost(t, "    allow_direct: true\n    queue: 0\n")
	if err := os.Chown(h.dir, stranger, nobody); err != nil {
		t.Fatal(err)
	}
	p := h.startWith(t, nil, &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: stranger, Gid: nobody},
		AmbientCaps: []uintptr{
			unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_BPF, unix.CAP_PERFMON,
			unix.CAP_IPC_LOCK,
		},
	}, "iokernel", "--config", h.config)
	p.await(t, 0, "iokernel: dl1")
	h.echo(t, "--direct")
	h.exchange(t, h.lab.End(lab.B).IPv4, 10)
	p.signal(unix.SIGTERM)
	p.wait(t, 0)
}
