package control

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// newShared is a rig that others may reach as far as the socket's own mode lets them.
func newShared(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs processes as other users")
	}
	r := newRig(t, change)
	if err := os.Chmod(filepath.Dir(r.path), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

// as runs a runtime as somebody else and returns the line it says.
func (r *rig) as(c syscall.Credential) string {
	r.Helper()
	_, out := child(r.T, "runtime", []string{r.path}, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &c}
	})
	return firstLine(out)
}

func TestUsers(t *testing.T) {
	r := newShared(t, func(o *Options) {
		o.Mode = 0o666
		o.Policy = Policy{Rules: []Rule{
			{Runtime: "echo", UIDs: []uint32{65534}, GIDs: []uint32{2000}},
			{Runtime: "other", UIDs: []uint32{65533}},
		}}
	})
	for name, test := range map[string]struct {
		who  syscall.Credential
		want string
	}{
		"its user":            {syscall.Credential{Uid: 65534, Gid: 65534}, "attached"},
		"its group":           {syscall.Credential{Uid: 3000, Gid: 2000}, "attached"},
		"supplementary group": {syscall.Credential{Uid: 3000, Gid: 3000, Groups: []uint32{1, 2000}}, "attached"},
		"another's user":      {syscall.Credential{Uid: 65533, Gid: 65533}, "it may attach as other"},
		"a stranger":          {syscall.Credential{Uid: 3000, Gid: 3000}, "not in uids or gids of any runtime"},
	} {
		t.Run(name, func(t *testing.T) {
			if line := r.as(test.who); !strings.Contains(line, test.want) {
				t.Errorf("%q, want %q", line, test.want)
			}
		})
	}
	for range 3 {
		s := <-r.handler.attached
		if who := s.Peer(); who.UID == 0 {
			t.Errorf("attached as %+v", who)
		}
	}
	if n := r.server.Counters().Refused[CodeDenied]; n != 2 {
		t.Errorf("%d refused, want 2", n)
	}
}

// TestClosedSocket: the file's mode shuts out whoever is not in its group, and the error says so.
func TestClosedSocket(t *testing.T) {
	r := newShared(t, func(o *Options) {
		o.Mode, o.GID = 0o660, 2000
		o.Policy = Policy{Rules: []Rule{{Runtime: "echo", UIDs: []uint32{65534}}}}
	})
	line := r.as(syscall.Credential{Uid: 65534, Gid: 65534})
	for _, want := range []string{"closed to uid 65534", "group 2000", "mode 0660", "join its group"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
	line = r.as(syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{2000}})
	if line != "attached" {
		t.Errorf("a member of the group: %q", line)
	}
}

// TestManyGroups: more supplementary groups than one look fetches.
func TestManyGroups(t *testing.T) {
	r := newShared(t, func(o *Options) {
		o.Mode = 0o666
		o.Policy = Policy{Rules: []Rule{{Runtime: "echo", GIDs: []uint32{5999}}}}
	})
	groups := make([]uint32, 1000)
	for i := range groups {
		groups[i] = uint32(5000 + i)
	}
	if line := r.as(syscall.Credential{Uid: 3000, Gid: 3000, Groups: groups}); line != "attached" {
		t.Errorf("member of the last of many groups: %q", line)
	}
	if n := len((<-r.handler.attached).Peer().Groups); n != len(groups) {
		t.Errorf("%d groups, want %d", n, len(groups))
	}
}
