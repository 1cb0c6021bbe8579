package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketFile is a listening socket, its name in the file system, and the lock that makes it ours.
type socketFile struct {
	*net.UnixListener
	path string
	file os.FileInfo // what we made, so as not to remove somebody else's
	lock *os.File
}

// listen makes the socket. Nobody but root can connect before its permissions are final.
func listen(o Options) (_ *socketFile, err error) {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o755); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	lock, err := lockFile(o.Path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("control: listen on %s: %w", o.Path, err)
	}
	s := &socketFile{path: o.Path, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("control: listen on %s: %w", o.Path, err), s.hangUp(),
				s.unlock())
		}
	}()
	if err := removeStale(o.Path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: withoutPermissions}
	l, err := config.Listen(context.Background(), "unixpacket", o.Path)
	if err != nil {
		return nil, err
	}
	s.UnixListener = l.(*net.UnixListener)
	s.SetUnlinkOnClose(false)
	if s.file, err = os.Lstat(o.Path); err != nil {
		return nil, err
	}
	if o.GID >= 0 {
		if err := os.Chown(o.Path, -1, o.GID); err != nil {
			return nil, fmt.Errorf("%w: only root, or a member of group %d, can give it away",
				err, o.GID)
		}
	}
	return s, os.Chmod(o.Path, o.Mode)
}

// withoutPermissions makes bind create the file with mode 0: it takes the mode of the socket.
func withoutPermissions(_, _ string, raw syscall.RawConn) error {
	var failure error
	if err := raw.Control(func(fd uintptr) { failure = unix.Fchmod(int(fd), 0) }); err != nil {
		return err
	}
	return failure
}

// hangUp ends the listening. The lock stays.
func (s *socketFile) hangUp() error {
	var errs []error
	if s.UnixListener != nil {
		errs = append(errs, s.UnixListener.Close())
	}
	if now, err := os.Lstat(s.path); s.file != nil && err == nil && os.SameFile(now, s.file) {
		errs = append(errs, os.Remove(s.path))
	}
	return errors.Join(errs...)
}

// unlock lets the next iokernel start, and leaves no file behind.
func (s *socketFile) unlock() error {
	return errors.Join(os.Remove(s.lock.Name()), s.lock.Close())
}

// removeStale removes what a killed iokernel left at path. We hold the lock, so no other iokernel
// is about to listen there; a socket that answers is another program's all the same.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("the file there is not a socket (%v); remove it, or choose another path",
			info.Mode().Type())
	}
	conn, err := net.Dial("unixpacket", path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("%w, or another program, and it listens there; stop it, or choose "+
			"another path", ErrRunning)
	}
	return os.Remove(path)
}

// ErrRunning says that the socket is in use.
var ErrRunning = errors.New("another iokernel is running")

// lockFile makes path ours until it is closed or the process ends. The lock, not the file, says who
// runs: a file left by a killed process locks nobody out.
func lockFile(path string) (*os.File, error) {
	const tries = 100 // each loses to an iokernel that stopped between our open and our lock
	for range tries {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			holder, _ := io.ReadAll(io.LimitReader(f, 32))
			f.Close()
			if err == unix.EWOULDBLOCK {
				return nil, fmt.Errorf("%w (pid %s); stop it, or choose another path", ErrRunning,
					strings.TrimSpace(string(holder)))
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		mine, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if now, err := os.Stat(path); err != nil || !os.SameFile(now, mine) {
			f.Close() // its owner removed it on the way out
			continue
		}
		if err := writePID(f); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
	return nil, fmt.Errorf("lock %s: other iokernels come and go", path)
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}
