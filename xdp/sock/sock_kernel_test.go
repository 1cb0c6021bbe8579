package sock

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/dataplane"
)

// newFile opens an AF_XDP socket and makes rings of it. It has no memory and is bound to nothing,
// which the rings do not need.
func newFile(t *testing.T, z Sizes) *os.File {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: opening an AF_XDP socket takes CAP_NET_RAW")
	}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "xsk")
	t.Cleanup(func() { file.Close() })
	for option, entries := range map[int]uint32{
		unix.XDP_UMEM_FILL_RING:       z.Fill,
		unix.XDP_UMEM_COMPLETION_RING: z.Completion,
		unix.XDP_RX_RING:              z.Rx,
		unix.XDP_TX_RING:              z.Tx,
	} {
		if entries == 0 {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_XDP, option, int(entries)); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestOpenMapsWhatThereIs(t *testing.T) {
	for _, z := range []Sizes{
		{Fill: 512, Completion: 256, Rx: 128, Tx: 64},
		{Fill: 4096, Completion: 4096, Rx: 4096, Tx: 4096},
		{Rx: 512, Tx: 512},
		{Tx: 2},
	} {
		s, err := Open(newFile(t, z), z)
		if err != nil {
			t.Errorf("%+v: %v", z, err)
			continue
		}
		r := s.Rings()
		if s.Sizes() != z || z.Tx > 0 && r.Tx.Reserve(1<<20) != z.Tx ||
			z.Fill > 0 && r.Fill.Reserve(1<<20) != z.Fill {
			t.Errorf("%+v: rings have other sizes", z)
		}
		if z.Rx > 0 && (r.Rx.Size() != z.Rx || r.Rx.Any()) ||
			z.Completion > 0 && (r.Completion.Size() != z.Completion || r.Completion.Any()) {
			t.Errorf("%+v: consumer rings have other sizes or are not empty", z)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("%+v: close: %v", z, err)
			}
		}
	}
}

func TestOpenRefusesOtherSizes(t *testing.T) {
	truth := Sizes{Fill: 1024, Completion: 1024, Rx: 1024, Tx: 1024}
	for lie, text := range map[Sizes]string{
		{Fill: 2048, Completion: 1024, Rx: 1024, Tx: 1024}:    "map fill ring of 2048 entries",
		{Fill: 1024, Completion: 512, Rx: 1024, Tx: 1024}:     "completion ring has more than the",
		{Fill: 1024, Completion: 1024, Rx: 512, Tx: 1024}:     "rx ring has more than the 512",
		{Fill: 1024, Completion: 1024, Rx: 1024, Tx: 1000}:    "power of two",
		{Fill: 1024, Completion: 1024, Rx: 1024, Tx: 1 << 31}: "want at most",
	} {
		_, err := Open(newFile(t, truth), lie)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q", lie, err, text)
		}
	}
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, truth); err == nil || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("a file that is no socket: %v", err)
	}
	if file.Close() == nil {
		t.Error("Open left the file open")
	}
}

func TestPortNeedsAllRings(t *testing.T) {
	z := Sizes{Rx: 64, Tx: 64}
	s, err := Open(newFile(t, z), z)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pool, err := dataplane.NewPool(make([]byte, 1<<20),
		dataplane.PoolConfig{ChunkBytes: 4096, Caches: 1})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := pool.Cache()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Port(cache, dataplane.PortConfig{}); err == nil {
		t.Error("a port over a socket without fill ring")
	}
}

// TestKickNowhere kicks sockets that lead nowhere, without allocating.
func TestKickNowhere(t *testing.T) {
	z := Sizes{Tx: 64}
	s, err := Open(newFile(t, z), z)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { s.KickTx(); s.KickRx() }); n != 0 {
		t.Errorf("%v allocations a kick", n)
	}
	if got := s.KickTx(); got != dataplane.KickDown {
		t.Errorf("kick of a socket bound to nothing: %d", got)
	}
	if st, err := s.Statistics(); err != nil || st != (Statistics{}) {
		t.Errorf("statistics of a new socket: %+v, %v", st, err)
	}
	if zc, err := s.ZeroCopy(); err != nil || zc {
		t.Errorf("zero-copy of a new socket: %t, %v", zc, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.KickTx(); got != dataplane.KickDown {
		t.Errorf("kick of a closed socket: %d", got)
	}
	if _, err := s.Statistics(); err == nil {
		t.Error("statistics of a closed socket")
	}
}
