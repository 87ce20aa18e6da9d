package main

import (
	"context"
	"maps"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew/install"
)

// unitName is the service that renews, as it is packaged.
const unitName = "certvigil.service"

const systemctlTimeout = 5 * time.Second

// unitPowers is what the agent may do with files when systemd starts it: doctor
// is mostly run by root, who may do everything. False where there is no such
// unit, or nobody can tell.
func unitPowers(ctx context.Context) (install.Powers, bool) {
	ctx, cancel := context.WithTimeout(ctx, systemctlTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", unitName,
		"--property=LoadState,User,Group,SupplementaryGroups,AmbientCapabilities,CapabilityBoundingSet").Output()
	if err != nil {
		return install.Powers{}, false // no systemd, or one that does not answer
	}
	unit := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		unit[key] = value
	}
	if unit["LoadState"] != "loaded" {
		return install.Powers{}, false
	}
	return powersOf(unit)
}

// powersOf reads the properties of a unit. User= and the groups may be names or
// numbers (systemd.exec(5)); another user than root has the ambient capabilities
// alone after an execve (capabilities(7)).
func powersOf(unit map[string]string) (install.Powers, bool) {
	bounding := install.CapsNamed(strings.Fields(unit["CapabilityBoundingSet"]))
	p := install.Powers{Caps: bounding}
	groups := map[int]bool{0: true}
	if name := unit["User"]; name != "" && name != "root" && name != "0" {
		u, err := user.Lookup(name)
		if err != nil {
			if u, err = user.LookupId(name); err != nil {
				return install.Powers{}, false
			}
		}
		ids, err := u.GroupIds()
		if err != nil {
			return install.Powers{}, false
		}
		p.UID, _ = strconv.Atoi(u.Uid) // package user reads numbers
		p.Caps = bounding & install.CapsNamed(strings.Fields(unit["AmbientCapabilities"]))
		clear(groups)
		for _, id := range ids {
			gid, _ := strconv.Atoi(id)
			groups[gid] = true
		}
	}
	for _, name := range append(strings.Fields(unit["SupplementaryGroups"]), unit["Group"]) {
		if gid, ok := groupID(name); ok {
			groups[gid] = true
		}
	}
	p.Groups = slices.Collect(maps.Keys(groups))
	return p, true
}

func groupID(name string) (int, bool) {
	if g, err := user.LookupGroup(name); err == nil {
		name = g.Gid
	}
	gid, err := strconv.Atoi(name)
	return gid, err == nil
}
