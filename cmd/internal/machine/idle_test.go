package machine

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestIdleScope(t *testing.T) {
	const (
		cgroup    = "proc/self/cgroup"
		autogroup = "proc/sys/kernel/sched_autogroup_enabled"
		v1, v2    = "sys/fs/cgroup/cpu/", "sys/fs/cgroup/"
	)
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing known", nil, ""},
		{"root", map[string]string{cgroup: "0::/\n", autogroup: "0\n"}, ""},
		{"session", map[string]string{cgroup: "0::/\n", autogroup: "1\n"}, "this session"},
		{"session, version 1", map[string]string{
			cgroup: "4:memory:/box\n1:cpu:/\n0::/\n", autogroup: "1\n",
		}, "this session"},
		{"group", map[string]string{
			cgroup: "0::/user.slice/user-0.slice\n", autogroup: "1\n",
			v2 + "user.slice/cpu.weight": "100", v2 + "user.slice/cpu.idle": "0\n",
			v2 + "user.slice/user-0.slice/cpu.weight": "100",
			v2 + "user.slice/user-0.slice/cpu.idle":   "1\n", // too deep
		}, "the control group /user.slice"},
		{"idle group", map[string]string{
			cgroup: "0::/batch.slice/x.scope\n", autogroup: "1\n",
			v2 + "batch.slice/cpu.weight": "0", v2 + "batch.slice/cpu.idle": "1\n",
		}, ""},
		{"group without the controller", map[string]string{
			cgroup: "0::/user.slice\n", autogroup: "1\n", v2 + "user.slice/pids.max": "max",
		}, "this session"},
		{"group, version 1", map[string]string{
			cgroup: "2:cpu,cpuacct:/box\n0::/\n", autogroup: "0\n", v1 + "box/cpu.shares": "1024",
		}, "the control group /box"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range test.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got := idleScope(root)
			if got.Within != test.want || (got.Remedy == "") != (test.want == "") ||
				strings.Contains(got.Within, "//") {
				t.Errorf("got %+v, want %q", got, test.want)
			}
		})
	}
}
