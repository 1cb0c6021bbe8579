package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary play a part in a process of its own; see TestMain.
const roleEnv = "DUNLIN_LAB_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "make":
		if l, err := New(PairOptions{}); err != nil {
			fmt.Println(errors.Is(err, fs.ErrPermission), err)
		} else {
			fmt.Println("made", l.End(A).Index)
		}
	case "namespace":
		name, err := os.Readlink("/proc/self/ns/net")
		fmt.Println(name, err)
	default:
		os.Exit(m.Run())
	}
}

func newLab(t *testing.T, o PairOptions) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// in fails the test with fn's error.
func in(t *testing.T, l *Lab, side Side, fn func() error) {
	t.Helper()
	if err := l.In(side, fn); err != nil {
		t.Fatal(err)
	}
}

// exchange sends a datagram from A to B's address and back.
func exchange(t *testing.T, l *Lab, to netip.Addr) {
	t.Helper()
	var server, client *net.UDPConn
	in(t, l, B, func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 0)))
		return err
	})
	defer server.Close()
	in(t, l, A, func() (err error) {
		client, err = net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
		return err
	})
	defer client.Close()
	deadline := time.Now().Add(2 * time.Second)
	client.SetDeadline(deadline)
	server.SetDeadline(deadline)
	b := make([]byte, 16)
	if _, err := client.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	n, from, err := server.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != "ping" {
		t.Fatalf("server got %q, %v", b[:n], err)
	}
	if _, err := server.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
		t.Fatal(err)
	}
	if n, err = client.Read(b); err != nil || string(b[:n]) != "pong" {
		t.Fatalf("client got %q, %v", b[:n], err)
	}
}

func TestPairCarriesBothVersions(t *testing.T) {
	for _, o := range []PairOptions{
		{},
		{Neighbours: true},
		{NoTxChecksum: true, Queues: 2, MTU: 9000},
	} {
		l := newLab(t, o)
		exchange(t, l, l.End(B).IPv4)
		exchange(t, l, l.End(B).IPv6)
	}
}

func TestEndsAreWhatTheKernelSays(t *testing.T) {
	l := newLab(t, PairOptions{Queues: 3, MTU: 3000, NoIPv6: true})
	second, err := l.AddPair(PairOptions{Names: [2]string{"k0", "k1"}, Subnet: 78})
	if err != nil {
		t.Fatal(err)
	}
	if got := second.Ends[B].IPv6; got != netip.MustParseAddr("fd78::2") {
		t.Errorf("second pair's B has %v", got)
	}
	for _, side := range []Side{A, B} {
		e := l.End(side)
		in(t, l, side, func() error {
			i, err := net.InterfaceByName(e.Name)
			if err != nil {
				return err
			}
			if i.Index != e.Index || i.MTU != 3000 || [6]byte(i.HardwareAddr) != e.MAC {
				t.Errorf("%s: kernel says %+v, lab %+v", side, i, e)
			}
			addrs, err := i.Addrs()
			if err != nil || len(addrs) != 1 || addrs[0].String() != e.IPv4.String()+"/24" {
				t.Errorf("%s has addresses %v, %v", side, addrs, err)
			}
			link, err := l.links[side].LinkByName(e.Name)
			if err != nil || link.Attrs().NumRxQueues != 3 || link.Attrs().NumTxQueues != 3 {
				t.Errorf("%s has link %+v, %v", side, link, err)
			}
			return nil
		})
	}
}

// TestQuiet listens on both ends, with everything that IPv6 could say switched on.
func TestQuiet(t *testing.T) {
	l := newLab(t, PairOptions{})
	for _, side := range []Side{A, B} {
		in(t, l, side, func() error {
			all := int(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8) // network byte order
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 200)
			if n != 0 {
				frame := make([]byte, 128)
				n, _, _ = unix.Recvfrom(fd, frame, 0)
				t.Errorf("%s hears % x, %v", side, frame[:n], err)
			}
			return nil
		})
	}
}

func threadSpace(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestInComesHome(t *testing.T) {
	l := newLab(t, PairOptions{NoIPv6: true})
	runtime.LockOSThread() // so that before and after are the same thread
	defer runtime.UnlockOSThread()
	home, away := threadSpace(t), ""
	want := errors.New("mine")
	if err := l.In(B, func() error { away = threadSpace(t); return want }); err != want {
		t.Errorf("In returned %v", err)
	}
	if away == home || threadSpace(t) != home {
		t.Errorf("home %s, inside %s, after %s", home, away, threadSpace(t))
	}
	func() {
		defer func() { recover() }()
		l.In(A, func() error { panic("out") })
	}()
	if threadSpace(t) != home {
		t.Errorf("a panic left the thread in %s", threadSpace(t))
	}
}

func play(role string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleEnv + "=" + role}
	return cmd
}

func TestStartRunsInside(t *testing.T) {
	l := newLab(t, PairOptions{NoIPv6: true})
	var inside string
	in(t, l, A, func() error { inside = threadSpace(t); return nil })
	cmd := play("namespace")
	var out strings.Builder
	cmd.Stdout = &out
	if err := l.Start(A, cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || out.String() != inside+" <nil>\n" {
		t.Errorf("child is in %q, %v, want %s", out.String(), err, inside)
	}
}

func TestCloseTwice(t *testing.T) {
	l := newLab(t, PairOptions{NoIPv6: true})
	if err := l.Pair().Remove(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNamesTaken(t *testing.T) {
	l := newLab(t, PairOptions{NoIPv6: true})
	if _, err := l.AddPair(PairOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second pair of the same names: %v", err)
	}
	exchange(t, l, l.End(B).IPv4)
}

func TestNotRoot(t *testing.T) {
	cmd := play("make")
	if os.Geteuid() == 0 {
		nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	}
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "true lab: make network namespace A") {
		t.Errorf("without root: %q, %v", out, err)
	}
}
