// Package mem is the door to memory: what processes share, and the window that arenas lie in.
//
// Shared memory is memfds that are sealed so that nobody who is handed one can shrink it under
// somebody else's feet (a SIGBUS) or grow it beyond its account. Create is for the side that owns
// the memory (the iokernel); Map is for the side that was handed the file. Both are control-plane
// calls. The mapping lives until Close; whoever holds slices of Bytes must have stopped using them.
//
// A Window is address space of this process alone. A Tracker says which of its pages changed, by
// userfaultfd and PAGEMAP_SCAN, and Probe whether this kernel and this process have what that
// takes. Neither needs a privilege.
package mem

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seals are put on every memory: its size is final, and so are the seals.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// published is put on memory that others read only: mappings made before stay writable, nobody can
// make another that is, nor by mprotect, nor by opening the file again. Since Linux 5.1.
const published = unix.F_SEAL_FUTURE_WRITE

// flags of every memory. Create adds MFD_NOEXEC_SEAL: nobody can run a program from it, and a
// system that forbids other memfds (vm.memfd_noexec=2) allows it.
const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING

// Memory is a mapped memfd.
type Memory struct {
	Bytes []byte
	file  *os.File
}

// Create makes, seals, maps and populates a memory of size bytes (a multiple of the page size). The
// name is for /proc only. The memory is zero.
func Create(name string, size int) (*Memory, error) { return newMemory(name, size, false) }

// Publish is Create for memory that this process alone can write, through Bytes, as long as it
// lives: whoever is handed the file can map it for reading, and can neither map it for writing nor
// write to the file.
func Publish(name string, size int) (*Memory, error) { return newMemory(name, size, true) }

func newMemory(name string, size int, readOnly bool) (*Memory, error) {
	if size <= 0 || size%os.Getpagesize() != 0 {
		return nil, fmt.Errorf("mem: create %s: %d bytes: want a positive multiple of the page "+
			"size %d", name, size, os.Getpagesize())
	}
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("mem: create %s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		file.Close()
		return nil, fmt.Errorf("mem: size %s to %d bytes: %w", name, size, err)
	}
	// Ours is mapped before the file is sealed: afterwards it could not be, for writing.
	m, err := mapFile(file, size, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, err
	}
	add := seals
	if readOnly {
		add |= published
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, add); err != nil {
		return nil, errors.Join(fmt.Errorf("mem: seal %s: %w", name, err), m.Close())
	}
	return m, nil
}

// Map maps a memory that somebody else created. It takes ownership of file, also on error. It
// refuses a file that is not sealed against shrinking or that has another size.
func Map(file *os.File, size int) (*Memory, error) {
	return mapSealed(file, size, unix.PROT_READ|unix.PROT_WRITE)
}

// MapReadOnly is Map for reading only: writing to Bytes is a fault that ends the process.
func MapReadOnly(file *os.File, size int) (*Memory, error) {
	return mapSealed(file, size, unix.PROT_READ)
}

func mapSealed(file *os.File, size, access int) (*Memory, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		file.Close()
		return nil, fmt.Errorf("mem: map %s: %w", file.Name(), err)
	}
	if size <= 0 || st.Size != int64(size) {
		file.Close()
		return nil, fmt.Errorf("mem: map %s: it has %d bytes, want %d", file.Name(), st.Size, size)
	}
	got, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || got&unix.F_SEAL_SHRINK == 0 {
		file.Close()
		return nil, fmt.Errorf("mem: map %s: it is not sealed against shrinking (seals %#x, %v)",
			file.Name(), got, err)
	}
	return mapFile(file, size, access)
}

func mapFile(file *os.File, size, access int) (*Memory, error) {
	b, err := unix.Mmap(int(file.Fd()), 0, size, access, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("mem: map %s: %w", file.Name(), err)
	}
	return &Memory{Bytes: b, file: file}, nil
}

// File is the memfd, for handing it to another process. It stays the Memory's.
func (m *Memory) File() *os.File { return m.file }

// Close unmaps the memory and closes the file. Other processes' mappings stay.
func (m *Memory) Close() error {
	if m.Bytes == nil {
		return nil
	}
	err := unix.Munmap(m.Bytes)
	m.Bytes = nil
	if cerr := m.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("mem: close %s: %w", m.file.Name(), err)
	}
	return nil
}
