// provisioner gives each PersistentVolumeClaim of its StorageClass a folder of the machine that all nodes share.
//
// The volumes are `local`, for which the kubelet applies a pod's fsGroup as it does for a disk; they may be used from
// every node and by many pods at once. The requested size is recorded, not enforced.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const name = "devcluster.vistrain.dev/folder"

type provisioner struct {
	root string
}

// Provision makes the claim's folder, as a new disk comes: root's own, so a pod that is not root needs fsGroup.
func (p provisioner) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if options.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished,
			fmt.Errorf("claim %s: spec.selector is not supported: remove it", options.PVC.Name)
	}
	folder := filepath.Join(p.root, options.PVName)
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, controller.ProvisioningFinished, err
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			MountOptions:                  options.StorageClass.MountOptions,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: options.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: folder},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key: corev1.LabelOSStable, Operator: corev1.NodeSelectorOpExists,
					}},
				}},
			}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the folder of a volume that is released; a folder outside the root is never touched.
func (p provisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.Local == nil || filepath.Dir(filepath.Clean(volume.Spec.Local.Path)) != p.root {
		return fmt.Errorf("volume %s is no folder of %s", volume.Name, p.root)
	}
	return os.RemoveAll(volume.Spec.Local.Path)
}

// ensureClass creates the StorageClass, the cluster's default, unless there is one of that name.
func ensureClass(ctx context.Context, client kubernetes.Interface, class string) error {
	reclaim, binding := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate
	_, err := client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        class,
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:       name,
		ReclaimPolicy:     &reclaim,
		VolumeBindingMode: &binding,
	}, metav1.CreateOptions{FieldManager: "vistrain-devcluster"})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the cluster (required)")
	root := flag.String("root", "", "absolute folder that holds the volumes' folders (required)")
	class := flag.String("class", "standard", "name of the StorageClass, created as the default")
	klog.InitFlags(nil)
	flag.Parse()
	if *kubeconfig == "" || !filepath.IsAbs(*root) {
		return errors.New("give -kubeconfig FILE and -root FOLDER, the latter absolute")
	}
	if err := os.MkdirAll(*root, 0o755); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 100
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	for {
		if err = ensureClass(ctx, client, *class); err == nil {
			break
		}
		klog.InfoS("the API server is not there yet", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	controller.NewProvisionController(
		ctx, client, name, provisioner{root: filepath.Clean(*root)},
		controller.LeaderElection(false),
		controller.FailedProvisionThreshold(0),
		controller.FailedDeleteThreshold(0),
		controller.RetryIntervalMax(10*time.Second),
	).Run(ctx)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "provisioner:", err)
		os.Exit(1)
	}
}
