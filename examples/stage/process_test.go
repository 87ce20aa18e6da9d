package stage_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// beOwner makes the test binary start an nginx in the named folder, print its
// master's id and wait to be killed.
const beOwner = "CERTVIGIL_STAGE_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(beOwner); dir != "" {
		own(dir)
	}
	os.Exit(m.Run())
}

func own(dir string) {
	ports, err := stage.FreePorts(2)
	if err != nil {
		panic(err)
	}
	n, err := stage.NewNginx(dir, ports[0], ports[1])
	if err != nil {
		panic(err)
	}
	if err := n.Start(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(n.PID())
	select {}
}

func TestNginxEndsWithAnOwnerThatIsKilled(t *testing.T) {
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), beOwner+"="+t.TempDir())
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(line[:len(line)-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	ctx := limited(t, 10*time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !gone(pid) {
		select {
		case <-ctx.Done():
			t.Fatalf("nginx %d outlived its owner", pid)
		case <-tick.C:
		}
	}
}

// gone tells whether there is no such process, or only what is left of one that
// nobody waited for.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	var id int
	var name, state string
	_, err = fmt.Sscanf(string(stat), "%d %s %s", &id, &name, &state)
	return err == nil && state == "Z"
}
