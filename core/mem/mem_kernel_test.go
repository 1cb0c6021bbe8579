package mem

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const size = 64 << 10 // bytes, a multiple of every page size in use

func create(t *testing.T) *Memory {
	t.Helper()
	m, err := Create("test", size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// handed is what another process gets: a descriptor of its own of the same file.
func handed(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "handed")
}

func TestCreate(t *testing.T) {
	m := create(t)
	if len(m.Bytes) != size || bytes.ContainsFunc(m.Bytes, func(r rune) bool { return r != 0 }) {
		t.Errorf("%d bytes, or not all zero", len(m.Bytes))
	}
	resident := make([]byte, size/os.Getpagesize())
	if err := mincore(m.Bytes, resident); err != nil {
		t.Fatal(err)
	}
	for i, r := range resident {
		if r&1 == 0 {
			t.Errorf("page %d is not there yet: the dataplane would fault on it", i)
		}
	}
	flags, err := unix.FcntlInt(m.File().Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("inherited by programs that are started (flags %#x, %v)", flags, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	for name, bytes := range map[string]int{
		"nothing": 0, "less": -4096, "half a page": os.Getpagesize() / 2, "a byte more": size + 1,
	} {
		if m, err := Create("test", bytes); err == nil {
			m.Close()
			t.Errorf("%s: created", name)
		}
	}
	if m, err := Create("test", 1<<62); err == nil { // more than there is address space
		m.Close()
		t.Error("2^62 bytes: created")
	}
	if m, err := Create(strings.Repeat("x", 300), size); err == nil {
		m.Close()
		t.Error("a name of 300 bytes: created")
	}
}

// TestSeals: whoever has the file cannot take the memory away from under the others, nor make it cost
// more than was accounted for, nor run a program from it.
func TestSeals(t *testing.T) {
	m := create(t)
	f := handed(t, m.File())
	defer f.Close()
	fd := int(f.Fd())
	for what, err := range map[string]error{
		"shrink":    unix.Ftruncate(fd, size-int64(os.Getpagesize())),
		"empty":     unix.Ftruncate(fd, 0),
		"grow":      unix.Ftruncate(fd, 2*size),
		"allocate":  unix.Fallocate(fd, 0, size, size),
		"unseal":    addSeals(fd, 0),
		"seal more": addSeals(fd, unix.F_SEAL_WRITE),
	} {
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: %v, want %v", what, err, unix.EPERM)
		}
	}
	if n, err := unix.Pwrite(fd, []byte{1}, size); err == nil {
		t.Errorf("wrote %d bytes behind the end", n)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size != size {
		t.Errorf("it has %d bytes now, %v", st.Size, err)
	}
	if err := unix.Fchmod(fd, 0o777); err == nil {
		t.Error("it can be made a program")
	}
}

func addSeals(fd, seals int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return err
}

// TestHolesAreHarmless: who has the file can punch a hole, or forget its own pages. Others read zeros
// or what was there, and no signal comes.
func TestHolesAreHarmless(t *testing.T) {
	m := create(t)
	other := mapAgain(t, m)
	page := os.Getpagesize()
	for i := range m.Bytes {
		m.Bytes[i] = 7
	}
	err := unix.Fallocate(int(other.File().Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
		0, int64(2*page))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Madvise(other.Bytes[2*page:4*page], unix.MADV_REMOVE); err != nil {
		t.Fatal(err)
	}
	if err := unix.Madvise(other.Bytes[4*page:6*page], unix.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	for i, b := range m.Bytes {
		if want := byte(7); i < 4*page && b != 0 || i >= 4*page && b != want {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
	if !bytes.Equal(m.Bytes, other.Bytes) {
		t.Error("the two sides see different bytes")
	}
	m.Bytes[3] = 9 // what was a hole can be used again
	other.Bytes[3*page] = 8
	if other.Bytes[3] != 9 || m.Bytes[3*page] != 8 {
		t.Error("writes into a hole do not reach the other side")
	}
}

func mapAgain(t *testing.T, m *Memory) *Memory {
	t.Helper()
	other, err := Map(handed(t, m.File()), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return other
}

// TestShared: both sides see each other's writes, until one is gone, which the other does not notice.
func TestShared(t *testing.T) {
	m := create(t)
	other := mapAgain(t, m)
	m.Bytes[0], other.Bytes[size-1] = 1, 2
	if other.Bytes[0] != 1 || m.Bytes[size-1] != 2 {
		t.Error("not the same memory")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	other.Bytes[0]++
	if other.Bytes[0] != 2 || other.Bytes[size-1] != 2 {
		t.Error("the other side's bytes changed when we closed")
	}
}

func TestMapRefuses(t *testing.T) {
	sealed := func(seals int) *os.File {
		fd, err := unix.MemfdCreate("foreign", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(unix.Ftruncate(fd, size), addSeals(fd, seals)); err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), "foreign")
	}
	disk := func() *os.File {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		return f
	}
	pipe := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		return r
	}
	for name, c := range map[string]struct {
		file     *os.File
		size     int
		mentions string
	}{
		"no seals":               {sealed(0), size, "sealed"},
		"sealed against growing": {sealed(unix.F_SEAL_GROW), size, "sealed"},
		"smaller than expected":  {sealed(seals), size + 4096, "65536"},
		"larger than expected":   {sealed(seals), size - 4096, "61440"},
		"no bytes expected":      {sealed(seals), 0, "want 0"},
		"a file on disk":         {disk(), size, "sealed"},
		"a pipe":                 {pipe(), size, "0 bytes"},
		"closed":                 {closed(t), size, "map"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Map(c.file, c.size)
			if err == nil {
				m.Close()
				t.Fatal("mapped")
			}
			if !strings.Contains(err.Error(), c.mentions) {
				t.Errorf("error %q does not mention %q", err, c.mentions)
			}
			if err := c.file.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("the file was left open: %v", err)
			}
		})
	}
	m, err := Map(sealed(unix.F_SEAL_SHRINK), size)
	if err != nil {
		t.Fatalf("what cannot shrink is good enough for who did not make it: %v", err)
	}
	m.Close()
}

func closed(t *testing.T) *os.File {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return f
}

func TestCloseTwice(t *testing.T) {
	m := create(t)
	fd := int(m.File().Fd())
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if m.Bytes != nil {
		t.Error("its bytes are still there")
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("its descriptor is still open: %v", err)
	}
}
