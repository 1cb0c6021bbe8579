package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// open listens at path, for a moment.
func open(path string) error {
	s, err := Listen(Options{Path: path, Mode: 0o640, GID: -1})
	if err != nil {
		return err
	}
	return s.Close()
}

func TestSocketFile(t *testing.T) {
	path := socketPath(t) + "/new/folder/s" // folders above it are made
	s, err := Listen(Options{Path: path, Mode: 0o666, GID: os.Getegid()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// 0666 rather than 0644: the process's umask does not decide.
	if info.Mode() != fs.ModeSocket|0o666 {
		t.Errorf("mode %v", info.Mode())
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; int(gid) != os.Getegid() {
		t.Errorf("group %d", gid)
	}
}

func TestAnotherRuns(t *testing.T) {
	path := socketPath(t)
	s, err := Listen(Options{Path: path, Mode: 0o600, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	err = open(path)
	if !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the first one's socket: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(path); err != nil {
		t.Errorf("after it stopped: %v", err)
	}
}

// TestAnotherProgram: somebody who answers and is not an iokernel is left alone too.
func TestAnotherProgram(t *testing.T) {
	for _, network := range []string{"unixpacket", "unix"} {
		path := socketPath(t)
		l, err := net.Listen(network, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := open(path); !errors.Is(err, ErrRunning) {
			t.Errorf("%s: %v", network, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: its socket: %v", network, err)
		}
		if _, err := os.Stat(path + ".lock"); err == nil {
			t.Errorf("%s: a lock file stays", network)
		}
		l.Close()
	}
}

// TestStale: what a killed iokernel leaves is replaced.
func TestStale(t *testing.T) {
	path := socketPath(t)
	cmd, out := child(t, "server", []string{path}, nil)
	if line := firstLine(out); line != "listening" {
		t.Fatal(line)
	}
	if err := open(path); !errors.Is(err, ErrRunning) ||
		!strings.Contains(err.Error(), "pid "+strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("while it runs: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for _, name := range []string{path, path + ".lock"} {
		if _, err := os.Lstat(name); err != nil {
			t.Fatalf("nothing stale to test with: %v", err)
		}
	}
	if _, err := Dial(path); err == nil || !strings.Contains(err.Error(), "the iokernel was killed") {
		t.Errorf("dialling a stale socket: %v", err)
	}
	if err := open(path); err != nil {
		t.Errorf("a stale socket: %v", err)
	}
}

func TestNotASocket(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(path); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file holds %q (%v)", text, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", path); err != nil {
		t.Fatal(err)
	}
	if err := open(path); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a symbolic link in the way: %v", err)
	}
}

// TestCloseLeavesOthersFile: a socket that somebody put in the place of ours is not removed.
func TestCloseLeavesOthersFile(t *testing.T) {
	path := socketPath(t)
	s, err := Listen(Options{Path: path, Mode: 0o600, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the other file: %v", err)
	}
}

// TestRace: of many that start at the same moment, over a stale socket, one runs.
func TestRace(t *testing.T) {
	path := socketPath(t)
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	var all sync.WaitGroup
	var running atomic.Int32
	servers := make(chan *Server, 20)
	for range cap(servers) {
		all.Go(func() {
			s, err := Listen(Options{Path: path, Mode: 0o600, GID: -1})
			if err == nil {
				running.Add(1)
				servers <- s
			} else if !errors.Is(err, ErrRunning) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := running.Load(); n != 1 {
		t.Fatalf("%d run", n)
	}
	c, err := Dial(path)
	if err != nil {
		t.Fatalf("the one that runs cannot be reached: %v", err)
	}
	if err := (<-servers).Close(); err != nil {
		t.Error(err)
	}
	c.Close()
}

func TestDialMissing(t *testing.T) {
	_, err := Dial(socketPath(t))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is the iokernel running") {
		t.Errorf("no socket: %v", err)
	}
}
