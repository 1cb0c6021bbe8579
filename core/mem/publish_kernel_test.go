package mem

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// publish makes a memory that only we write.
func publish(t *testing.T) *Memory {
	t.Helper()
	m, err := Publish("test", size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// reader maps it as another process would.
func reader(t *testing.T, m *Memory) *Memory {
	t.Helper()
	r, err := MapReadOnly(handed(t, m.File()), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestPublishedMemoryIsReadByOthers(t *testing.T) {
	m := publish(t)
	r := reader(t, m)
	m.Bytes[100] = 42
	if r.Bytes[100] != 42 {
		t.Errorf("the reader sees %d, want 42", r.Bytes[100])
	}
}

// Whoever has the file, root included, finds no way to write.
func TestPublishedMemoryIsWrittenByNobodyElse(t *testing.T) {
	m := publish(t)
	if w, err := Map(handed(t, m.File()), size); !errors.Is(err, unix.EPERM) {
		t.Errorf("mapped for writing: %v, %v", w, err)
	}
	f := handed(t, m.File())
	defer f.Close()
	if _, err := f.WriteAt([]byte{1}, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v, want EPERM", err)
	}
	const hole = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	if err := unix.Fallocate(int(f.Fd()), hole, 0, size); !errors.Is(err, unix.EPERM) {
		t.Errorf("punch a hole: %v, want EPERM", err)
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := Map(again, size); !errors.Is(err, unix.EPERM) {
		t.Errorf("opened again and mapped for writing: %v, %v", w, err)
	}
	r := reader(t, m)
	if err := unix.Mprotect(r.Bytes, unix.PROT_READ|unix.PROT_WRITE); !errors.Is(err, unix.EACCES) {
		t.Errorf("mprotect: %v, want EACCES", err)
	}
}
