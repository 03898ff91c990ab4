// flanneld takes flannel's part on a test host with flannel's own packages: its store in etcd, its leases, its vxlan
// backend and its file for the container runtime. flannel's own program cannot be built from the module proxy, as one
// cloud's library that it imports is not there. Two things are left out on purpose: rules of iptables (so -ip-masq is
// taken and does nothing), and the look for br_netfilter, which a container has not.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/etcd"
)

// The build sets it to the release of flannel's packages.
var version = "unknown"

type options struct {
	etcd.EtcdConfig
	iface, subnetFile string
	ipMasq, version   bool
}

// read takes flags of flannel's program, by its names and with its defaults; any other is refused, as there.
func read() options {
	chosen := options{}
	endpoints := flag.String("etcd-endpoints", "http://127.0.0.1:4001,http://127.0.0.1:2379", "")
	flag.StringVar(&chosen.Prefix, "etcd-prefix", "/coreos.com/network", "")
	flag.StringVar(&chosen.Keyfile, "etcd-keyfile", "", "")
	flag.StringVar(&chosen.Certfile, "etcd-certfile", "", "")
	flag.StringVar(&chosen.CAFile, "etcd-cafile", "", "")
	flag.StringVar(&chosen.iface, "iface", "", "")
	flag.StringVar(&chosen.subnetFile, "subnet-file", "/run/flannel/subnet.env", "")
	flag.BoolVar(&chosen.ipMasq, "ip-masq", false, "")
	flag.BoolVar(&chosen.version, "version", false, "")
	flag.Parse()
	chosen.Endpoints = strings.Split(*endpoints, ",")
	return chosen
}

// before finds the part of the network that this host had, so that it asks for the same one again.
func before(path string) ip.IP4Net {
	file, err := os.Open(path)
	if err != nil {
		return ip.IP4Net{}
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "FLANNEL_SUBNET="); ok {
			var part ip.IP4Net
			if err := json.Unmarshal([]byte(`"`+text+`"`), &part); err == nil {
				return part.Network()
			}
		}
	}
	return ip.IP4Net{}
}

func tell(what string, details map[string]any) {
	details["what"] = what
	line, err := json.Marshal(details)
	if err != nil {
		line = []byte(err.Error())
	}
	fmt.Println(string(line))
}

func main() {
	chosen := read()
	if chosen.version {
		fmt.Fprintln(os.Stderr, version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, stop, chosen); err != nil && ctx.Err() == nil {
		tell("failed", map[string]any{"error": err.Error()})
		os.Exit(1)
	}
}

func run(ctx context.Context, stop context.CancelFunc, chosen options) error {
	manager, err := etcd.NewLocalManager(ctx, &chosen.EtcdConfig, before(chosen.subnetFile), ip.IP6Net{}, 60)
	if err != nil {
		return err
	}
	config, err := configuration(ctx, manager)
	if err != nil {
		return err
	}
	stack, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return err
	}
	iface, err := ipmatch.LookupExtIface(chosen.iface, "", "", stack, ipmatch.PublicIPOpts{})
	if err != nil {
		return err
	}
	kind, err := backend.NewManager(ctx, manager, iface).GetBackend(config.BackendType)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	network, err := kind.RegisterNetwork(ctx, &running, config)
	if err != nil {
		return err
	}
	held := network.Lease()
	if err := manager.HandleSubnetFile(
		chosen.subnetFile, config, chosen.ipMasq, held.Subnet, held.IPv6Subnet, network.MTU(),
	); err != nil {
		return err
	}
	tell("lease", map[string]any{
		"network": config.Network.String(), "subnet": held.Subnet.String(), "publicIP": held.Attrs.PublicIP.String(),
		"backend": held.Attrs.BackendData, "mtu": network.MTU(), "expires": held.Expiration.UTC().Format(time.RFC3339),
	})
	running.Go(func() { network.Run(ctx) })
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return err
	}
	err = manager.CompleteLease(ctx, held, &running)
	stop()
	running.Wait()
	return err
}

// configuration asks once a second until the network's configuration is in etcd, as flannel's program does.
func configuration(ctx context.Context, manager subnet.Manager) (*subnet.Config, error) {
	for {
		found, err := manager.GetNetworkConfig(ctx)
		if err == nil {
			return found, nil
		}
		tell("waiting", map[string]any{"error": err.Error()})
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
