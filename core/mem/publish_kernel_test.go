package mem

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// handed is m's file as another process gets it: a descriptor of its own.
func handed(t *testing.T, m *Memory) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(m.File().Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "handed")
}

func closed(t *testing.T, m *Memory) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestPublishedMemoryIsReadByOthers(t *testing.T) {
	m, err := Publish("test", os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, m)
	r, err := MapReadOnly(handed(t, m), os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	m.Bytes[100] = 42
	if r.Bytes[100] != 42 {
		t.Errorf("the reader sees %d, want 42", r.Bytes[100])
	}
}

// Whoever has the file, root included, finds no way to write.
func TestPublishedMemoryIsWrittenByNobodyElse(t *testing.T) {
	m, err := Publish("test", os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, m)

	if w, err := Map(handed(t, m), os.Getpagesize()); !errors.Is(err, unix.EPERM) {
		t.Errorf("mapped for writing: %v, %v", w, err)
	}
	f := handed(t, m)
	defer f.Close()
	if _, err := f.WriteAt([]byte{1}, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v, want EPERM", err)
	}
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0,
		int64(os.Getpagesize())); !errors.Is(err, unix.EPERM) {
		t.Errorf("punch a hole: %v, want EPERM", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); !errors.Is(err, unix.EPERM) {
		t.Errorf("seal: %v, want EPERM", err)
	}

	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := Map(again, os.Getpagesize()); !errors.Is(err, unix.EPERM) {
		t.Errorf("opened again and mapped for writing: %v, %v", w, err)
	}

	r, err := MapReadOnly(handed(t, m), os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	if err := unix.Mprotect(r.Bytes, unix.PROT_READ|unix.PROT_WRITE); !errors.Is(err, unix.EACCES) {
		t.Errorf("mprotect: %v, want EACCES", err)
	}
}

// Memory that is shared both ways is as it was: its reader may map it for writing.
func TestCreatedMemoryIsSharedBothWays(t *testing.T) {
	m, err := Create("test", os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, m)
	w, err := Map(handed(t, m), os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, w)
	w.Bytes[7] = 9
	if m.Bytes[7] != 9 {
		t.Errorf("its maker sees %d, want 9", m.Bytes[7])
	}
	if err := unix.Ftruncate(int(w.File().Fd()), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("truncate: %v, want EPERM", err)
	}
}
